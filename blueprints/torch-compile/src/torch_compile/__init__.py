"""See whether a network compiled with `torch.compile` answers as the same network does line by line."""
