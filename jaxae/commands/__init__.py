"""The subcommands of `jaxae`, a module each: its docstring, the dataclass of its flags, and `main`."""
