"""Importers and exporters: results that come from elsewhere, and bundles for other programs."""
