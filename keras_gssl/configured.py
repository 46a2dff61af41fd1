"""What is known by the arguments that it was made with."""

from __future__ import annotations

from typing import Any


class Configured:
    """Base of objects that Keras saves by their constructor's arguments, and that show these."""

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; extend it when a subclass has arguments of its own."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.get_config().items())})"
