"""The parts of an AnnData that are aligned to its cells and genes, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lazyomics.container.aligned_tables import align_tables, show_aligned
from lazyomics.container.annotated_object import AnnotatedObject
from lazyomics.container.assigned_matrix import assigned_matrix
from lazyomics.container.frames import FrameSlot, as_frame
from lazyomics.container.mappings import AlignedMapping
from lazyomics.container.slots import MatrixSlot

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
        """Matrix of shape (n_obs, n_vars): a dask array when lazy, else ndarray or scipy.

        Assigning takes a matrix of that shape as it is, also on a selection, which shares nothing
        with what it was selected from; the values of the only cell or gene; or a number, which
        fills the matrix.
        """
        return self._x.value

    @X.setter
    def X(self, value: Any) -> None:
        self._x = MatrixSlot(assigned_matrix(value, self.shape, self._x))

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

    @obs.deleter
    def obs(self) -> None:
        self._obs = FrameSlot(pd.DataFrame(index=self.obs_names))

    @property
    def var(self) -> pd.DataFrame:
        """Table of the genes, read on first access."""
        return self._var.frame

    @var.setter
    def var(self, value: Any) -> None:
        self._var.replace(as_frame(value, self.n_vars, "var"))

    @var.deleter
    def var(self) -> None:
        self._var = FrameSlot(pd.DataFrame(index=self.var_names))

    @property
    def layers(self) -> AlignedMapping:
        """Matrices of the shape of X, each lazy when it is in a file."""
        return self._layers

    @layers.setter
    def layers(self, value: Mapping[str, Any]) -> None:
        self._layers = self._layers.succeeded(value)

    @layers.deleter
    def layers(self) -> None:
        self._layers = AlignedMapping("layers", self.shape)

    @property
    def obsm(self) -> AlignedMapping:
        """Arrays of the cells, read entry by entry."""
        return show_aligned(self._obsm, self._obs)

    @obsm.setter
    def obsm(self, value: Mapping[str, Any]) -> None:
        self._obsm = self.obsm.succeeded(value)

    @obsm.deleter
    def obsm(self) -> None:
        self._obsm = AlignedMapping("obsm", self.shape)

    @property
    def varm(self) -> AlignedMapping:
        """Arrays of the genes, read entry by entry."""
        return show_aligned(self._varm, self._var)

    @varm.setter
    def varm(self, value: Mapping[str, Any]) -> None:
        self._varm = self.varm.succeeded(value)

    @varm.deleter
    def varm(self) -> None:
        self._varm = AlignedMapping("varm", self.shape)

    @property
    def obsp(self) -> AlignedMapping:
        """Square matrices of the cells, lazy when they are in a file."""
        return self._obsp.follow(self._obs)

    @obsp.setter
    def obsp(self, value: Mapping[str, Any]) -> None:
        self._obsp = self.obsp.succeeded(value)

    @obsp.deleter
    def obsp(self) -> None:
        self._obsp = AlignedMapping("obsp", self.shape)

    @property
    def varp(self) -> AlignedMapping:
        """Square matrices of the genes, lazy when they are in a file."""
        return self._varp.follow(self._var)

    @varp.setter
    def varp(self, value: Mapping[str, Any]) -> None:
        self._varp = self.varp.succeeded(value)

    @varp.deleter
    def varp(self) -> None:
        self._varp = AlignedMapping("varp", self.shape)

    def _align_tables(self, *, strict: bool = False) -> None:
        """Let tables in obsm and varm have the names of the cells and genes as they are now."""
        align_tables([(self._obsm, self._obs), (self._varm, self._var)], strict=strict)

    def _mappings(self) -> tuple[AlignedMapping, ...]:
        return self._layers, self._obsm, self._varm, self._obsp, self._varp
