"""Tables of experiments: read from a TOML file, run as far as results are missing, printed beside the paper's."""
