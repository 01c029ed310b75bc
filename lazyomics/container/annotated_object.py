"""What AnnData and MuData have in common: two axes with names, and unstructured annotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import pandas as pd

from lazyomics.container.uns import Uns

__all__ = ["AnnotatedObject", "AxisName"]

AxisName = Literal["obs", "var"]


class AnnotatedObject:
    """Observations and variables with their names and number.

    A subclass has the tables in ``_obs`` and ``_var``, and says in ``_rename`` what follows from
    new names.
    """

    _uns: Uns

    @property
    def n_obs(self: Any) -> int:
        """Number of observations (cells), of a MuData in all modalities together."""
        return len(self._obs)

    @property
    def n_vars(self: Any) -> int:
        """Number of variables (genes), of a MuData in all modalities together."""
        return len(self._var)

    @property
    def shape(self) -> tuple[int, int]:
        """Observations and variables."""
        return self.n_obs, self.n_vars

    def __len__(self) -> int:
        return self.n_obs

    @property
    def obs_names(self: Any) -> pd.Index:
        """Names of the observations; reading them from a file reads no other column.

        Assigning renames them, of a MuData in every modality.
        """
        return self._obs.index

    @obs_names.setter
    def obs_names(self: Any, names: Any) -> None:
        self._rename("obs", names)

    @property
    def var_names(self: Any) -> pd.Index:
        """Names of the variables; reading them from a file reads no other column.

        Assigning renames them, of a MuData in every modality.
        """
        return self._var.index

    @var_names.setter
    def var_names(self: Any, names: Any) -> None:
        self._rename("var", names)

    @property
    def uns(self) -> Uns:
        """Unstructured annotation, read entry by entry."""
        return self._uns

    @uns.setter
    def uns(self, value: Mapping[str, Any]) -> None:
        made = value.copy() if isinstance(value, Uns) else Uns(value)
        made.succeed(self._uns)
        self._uns = made

    @uns.deleter
    def uns(self) -> None:
        self._uns = Uns()

    def _become(self, other: Self) -> None:
        """Take over the parts of another object."""
        self.__dict__.update(other.__dict__)
