"""Archives by strangers, opened so that none takes more memory or time than its size warrants."""
