"""Keys, DSSE envelopes, Sigstore bundles and the policy of who may sign what."""
