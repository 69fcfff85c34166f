"""The stand-in for a model: it counts words of praise and of complaint."""

PRAISE = frozenset(
    "good great love loved lovely perfect happy best excellent enjoyed works fast easy".split()
)
COMPLAINT = frozenset("bad poor broke broken worst slow awful hate hated never useless waste noisy".split())


def classify(text: str, undecided: str) -> str:
    """Return "positive" or "negative", and `undecided` where neither kind of word prevails."""
    words = [word.strip(".,;:!?'\"").lower() for word in text.split()]
    balance = sum(word in PRAISE for word in words) - sum(word in COMPLAINT for word in words)
    if balance == 0:
        return undecided
    return "positive" if balance > 0 else "negative"
