"""What MATLAB 7.3 stores beside arrays of numbers: text, cells, arrays of structs, and tables, which it hides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.readers._mat5 import DEEPEST, MOST_ELEMENTS, element_name
from camvib.readers.parsing.channel import LeftOut

_HIDDEN = ("table", "timetable", "datetime", "duration", "timeseries", "categorical", "string", "containers.Map")
WRITE_STRUCT = "stored in a form that only MATLAB reads: save S = table2struct(T, 'ToScalar', true), or writetable"


class MatlabNodes:
    """Datasets of one file that are no plain arrays."""

    def __init__(self, file: Any, nodes: Sequence[tuple[str, Any]]) -> None:
        self._file = file
        self._structs = {name for name, node in nodes if self._is_struct_array(node)}

    def take(self, name: str, node: Any, arrays: dict[str, NDArray[Any]], left_out: list[LeftOut]) -> bool:
        """Read a dataset that is text, a cell or hidden; returns False for plain arrays."""
        kind = _class(node)
        if "MATLAB_object_decode" in node.attrs or kind in _HIDDEN:
            left_out.append(LeftOut(name, f"is a MATLAB {kind or 'object'}, {WRITE_STRUCT}"))
            return True
        if kind == "char":
            arrays[name] = np.array([_text(node)])
            return True
        if "MATLAB_empty" in node.attrs:
            return True
        if not self._holds_references(node):
            return False
        if node.size <= MOST_ELEMENTS:
            group, _, field = name.rpartition("/")
            is_field = group in self._structs
            for i, reference in enumerate(np.asarray(node[()]).T.reshape(-1, order="F")):
                label = f"{group}[{i}].{field}" if is_field else f"{name}[{i}]"
                self._open(label if node.size > 1 else name, reference, arrays, left_out, 0)
        else:
            left_out.append(LeftOut(name, f"a cell array of {node.size} elements (at most {MOST_ELEMENTS})"))
        return True

    def _open(
        self, name: str, reference: Any, arrays: dict[str, NDArray[Any]], left_out: list[LeftOut], depth: int
    ) -> None:
        import h5py

        if not reference or depth > DEEPEST:
            return
        node = self._file[reference]
        if isinstance(node, h5py.Group):
            fields = {field: node[field] for field in node if isinstance(node.get(field, getlink=True), h5py.HardLink)}
            given = fields.get("Name", fields.get("name"))
            label = (
                element_name(name, 0, np.array([_text(given)]))
                if given is not None and _class(given) == "char"
                else name
            )
            for field, value in fields.items():
                self._dataset(f"{label if label != f'{name}[0]' else name}.{field}", value, arrays, left_out, depth)
            return
        self._dataset(name, node, arrays, left_out, depth)

    def _dataset(
        self, name: str, node: Any, arrays: dict[str, NDArray[Any]], left_out: list[LeftOut], depth: int
    ) -> None:
        import h5py

        if isinstance(node, h5py.Group):
            for field in node:
                self._dataset(f"{name}.{field}", node[field], arrays, left_out, depth + 1)
        elif node.external or node.is_virtual:
            left_out.append(LeftOut(name, "its samples lie in other files"))
        elif self._holds_references(node):
            for i, reference in enumerate(np.asarray(node[()]).T.reshape(-1, order="F")[:MOST_ELEMENTS]):
                self._open(f"{name}[{i}]" if node.size > 1 else name, reference, arrays, left_out, depth + 1)
        elif _class(node) == "char":
            arrays[name] = np.array([_text(node)])
        elif node.dtype.kind in "fiu" and "MATLAB_empty" not in node.attrs and "MATLAB_object_decode" not in node.attrs:
            arrays[name] = np.asarray(node[()]).T

    def _is_struct_array(self, node: Any) -> bool:
        import h5py

        return isinstance(node, h5py.Group) and any(
            isinstance(node.get(name, getlink=True), h5py.HardLink) and self._holds_references(node[name])
            and _class(node[name]) != "cell"
            for name in node
        )  # fmt: skip

    @staticmethod
    def _holds_references(node: Any) -> bool:
        import h5py

        return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is not None


def _class(node: Any) -> str:
    value = node.attrs.get("MATLAB_class", b"")
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _text(node: Any) -> str:
    codes = np.asarray(node[()]).reshape(-1)
    return "".join(map(chr, codes.astype(int).tolist())) if codes.dtype.kind in "iu" and len(codes) < 10_000 else ""
