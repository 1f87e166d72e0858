"""Results that a notebook shows by themselves, with the tables and figures of their report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.reports.answers import Answer
    from hwsim.results.run_folder import RunFolder


class Shown(ABC):
    """The results of a run."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[RunFolder]:
        """The results as they stand in a folder; it may be gone afterwards."""

    @property
    def answers(self) -> list[Answer]:
        """What is answered to the device physicist, the chip architect and the learning researcher.

        Each answer has a `question`, a `text`, and its `reasons`.
        """
        from hwsim.reports import answers  # when they are asked for

        with self.opened() as folder:
            return answers.answers(folder)

    @property
    def figures(self) -> dict[str, Any]:
        """The figures of the report, by name. Each has a `heading`, a `caption` and the drawing, `svg`."""
        from hwsim.reports import notebook  # when they are asked for: Matplotlib takes a second

        with self.opened() as folder:
            return notebook.figures(folder)

    def _repr_html_(self) -> str:
        from hwsim.reports import notebook

        with self.opened() as folder:
            return notebook.shown(folder)
