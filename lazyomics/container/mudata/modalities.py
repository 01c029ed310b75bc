"""The modalities of a MuData by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType

from lazyomics.container.anndata import AnnData
from lazyomics.container.given import found_instead
from lazyomics.errors import UnsupportedError
from lazyomics.names import choices

__all__ = [
    "FEATURE_TYPES",
    "Modalities",
    "modalities_of",
]


class Modalities(MutableMapping[str, AnnData]):
    """Named AnnData objects, in the order in which they were added.

    Examples
    --------
    >>> mod = Modalities({"rna": AnnData(shape=(2, 3)), "adt": AnnData(shape=(2, 1))})
    >>> list(mod)
    ['rna', 'adt']
    """

    def __init__(self, values: Mapping[str, AnnData] | None = None) -> None:
        self._values: dict[str, AnnData] = {}
        for name, adata in (values or {}).items():
            self[name] = adata

    def __getitem__(self, name: str) -> AnnData:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"no modality {name!r}; {choices(name, self._values)}") from None

    def __setitem__(self, name: str, adata: AnnData) -> None:
        if not name or "/" in name:
            raise ValueError(f"the name of a modality is text without '/', found {name!r}")
        if hasattr(adata, "mod"):
            raise UnsupportedError(
                f"modality {name!r} would be a MuData itself: nesting is not supported, and no "
                ".h5mu file can hold it. Put its modalities beside the others: "
                "mdata.mod.update(other.mod)"
            )
        if not isinstance(adata, AnnData):
            raise TypeError(
                f"modality {name!r} must be a lazyomics.AnnData, found {found_instead(adata)}"
            )
        self._values[name] = adata

    def __delitem__(self, name: str) -> None:
        self[name]  # for its message
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _repr_html_(self) -> str:
        """What a notebook shows. Reads no matrix."""
        from lazyomics.container.page import html_of_modalities

        return html_of_modalities(self)

    def _ipython_key_completions_(self) -> list[str]:
        """Names that a notebook offers after an opening bracket."""
        return list(self._values)

    def __repr__(self) -> str:
        lines = ["MuData"]
        for k, (name, adata) in enumerate(self._values.items()):
            branch = "└─" if k == len(self) - 1 else "├─"
            backed = f" backed at {str(adata.filename)!r}" if adata.isbacked else ""
            lines.append(f"{branch} {name} AnnData ({adata.n_obs} x {adata.n_vars}){backed}")
        return "\n".join(lines)


FEATURE_TYPES: Mapping[str, str] = MappingProxyType(
    {"Gene Expression": "rna", "Peaks": "atac", "Antibody Capture": "prot"}
)


def modalities_of(adata: AnnData, names: Mapping[str, str] | None) -> dict[str, AnnData]:
    """Split an object by ``var["feature_types"]``, lazily; without that column it is ``data``."""
    if "feature_types" not in adata._var.columns:
        return {"data": adata}
    types = adata.var["feature_types"]
    known = names or {}
    return {
        known.get(str(kind), str(kind)): adata[:, (types == kind).to_numpy()].copy()
        for kind in types.unique()
    }
