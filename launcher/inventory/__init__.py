"""What an image contains, read from its layers without running it: packages, compilers, libraries."""
