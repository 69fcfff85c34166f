"""A model provider for Inspect: a causal language model from a local folder, greedy, on the processor."""

import os
from typing import Any

import torch
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi
from transformers import AutoModelForCausalLM, AutoTokenizer


@modelapi(name="tiny")
class TinyModel(ModelAPI):
    """Answer with what the model goes on to say until the end of the line."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        folder: str,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self._model.eval()

    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        """Go on from the last message, token by token, the likeliest first."""
        prompt = self._tokenizer.encode(input[-1].text)
        tokens, reason = list(prompt), "max_tokens"
        for _ in range(config.max_tokens or 1):
            tokens.append(self._next(tokens))
            if self._ends(tokens[-1]):
                reason = "stop"
                break
        answer = self._tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True)
        output = ModelOutput.from_content(self.model_name, answer.strip(), stop_reason=reason)
        output.usage = ModelUsage(
            input_tokens=len(prompt), output_tokens=len(tokens) - len(prompt), total_tokens=len(tokens)
        )
        return output

    async def count_text_tokens(self, text: str) -> int:
        """Count with the model's own tokenizer; Inspect's default fetches one from the network."""
        return len(self._tokenizer.encode(text))

    @torch.inference_mode()
    def _next(self, tokens: list[int]) -> int:
        window = tokens[-self._model.config.n_positions :]
        return int(self._model(torch.tensor([window])).logits[0, -1].argmax())

    def _ends(self, token: int) -> bool:
        return token == self._tokenizer.eos_token_id or "\n" in self._tokenizer.decode([token])
