"""The parts of an AnnData that are aligned to its cells and genes, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lazyomics.container.annotated_object import AnnotatedObject
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.slots import MatrixSlot, as_matrix
from lazyomics.errors import ShapeError

__all__ = ["AlignedParts"]


class AlignedParts(AnnotatedObject):
    """X, obs, var, layers, obsm, varm, obsp and varp: what they hold, and checks of new values."""

    _x: MatrixSlot
    _obs: FrameSlot
    _var: FrameSlot
    _layers: AlignedMapping
    _obsm: AlignedMapping
    _varm: AlignedMapping
    _obsp: AlignedMapping
    _varp: AlignedMapping

    @property
    def X(self) -> Any:
        """Matrix of shape (n_obs, n_vars): a dask array when lazy, else ndarray or scipy."""
        return self._x.value

    @X.setter
    def X(self, value: Any) -> None:
        matrix = as_matrix(value)
        if matrix is not None and tuple(matrix.shape) != self.shape:
            raise ShapeError(f"X has shape {tuple(matrix.shape)}, expected {self.shape}")
        self._x = MatrixSlot(matrix)

    @X.deleter
    def X(self) -> None:
        self._x = MatrixSlot(None)

    @property
    def obs(self) -> pd.DataFrame:
        """Table of the cells, read on first access."""
        return self._obs.frame

    @obs.setter
    def obs(self, value: Any) -> None:
        self._obs.replace(as_frame(value, self.n_obs, "obs"))

    @property
    def var(self) -> pd.DataFrame:
        """Table of the genes, read on first access."""
        return self._var.frame

    @var.setter
    def var(self, value: Any) -> None:
        self._var.replace(as_frame(value, self.n_vars, "var"))

    @property
    def layers(self) -> AlignedMapping:
        """Matrices of the shape of X, each lazy when it is in a file."""
        return self._layers

    @layers.setter
    def layers(self, value: Mapping[str, Any]) -> None:
        self._layers = self._layers.succeeded(value)

    @property
    def obsm(self) -> AlignedMapping:
        """Arrays of the cells, read entry by entry."""
        return self._obsm

    @obsm.setter
    def obsm(self, value: Mapping[str, Any]) -> None:
        self._obsm = self._obsm.succeeded(value)

    @property
    def varm(self) -> AlignedMapping:
        """Arrays of the genes, read entry by entry."""
        return self._varm

    @varm.setter
    def varm(self, value: Mapping[str, Any]) -> None:
        self._varm = self._varm.succeeded(value)

    @property
    def obsp(self) -> AlignedMapping:
        """Square matrices of the cells, lazy when they are in a file."""
        return self._obsp

    @obsp.setter
    def obsp(self, value: Mapping[str, Any]) -> None:
        self._obsp = self._obsp.succeeded(value)

    @property
    def varp(self) -> AlignedMapping:
        """Square matrices of the genes, lazy when they are in a file."""
        return self._varp

    @varp.setter
    def varp(self, value: Mapping[str, Any]) -> None:
        self._varp = self._varp.succeeded(value)

    def _mappings(self) -> tuple[AlignedMapping, ...]:
        return self._layers, self._obsm, self._varm, self._obsp, self._varp
