"""What a checkout needs before evalctl itself can run: standard library only, Python >= 3.11."""
