"""The catalogue: a cell, a rule or a task is a module with a model called `Options`, found by the name of its file."""

import importlib
import pkgutil
from types import ModuleType
from typing import Annotated, Any, Union

from pydantic import Field


def members(package: str, path: list[str], key: str = "name") -> dict[str, ModuleType]:
    """The modules of a package that declare `Options` with a field `key`, by the name of their file."""
    modules = (importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(path))
    return {module.__name__.rpartition(".")[2]: module for module in modules if _declares(module, key)}


def choice(modules: dict[str, ModuleType], key: str = "name") -> Any:
    """The type of a config section: the options of one of `modules`, which the field `key` chooses."""
    options = tuple(module.Options for module in modules.values())
    return Annotated[Union[options], Field(discriminator=key)]  # noqa: UP007 (made at run time)


def implementation(module: ModuleType, base: type) -> Any:
    """The one class of a module that implements `base`."""
    (implementation,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    )
    return implementation


def _declares(module: ModuleType, key: str) -> bool:
    options = getattr(module, "Options", None)
    return options is not None and options.__module__ == module.__name__ and key in options.model_fields
