"""The model file `.eie`: one versioned, integrity-checked container; docs/model-file.md describes every byte."""

from __future__ import annotations

import json
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from eie.arguments import require_type
from eie.atomic import replacing, require_output
from eie.errors import EieError, ModelFileError
from eie.model_file.fields import Content, Reader, Writer, unzigzag, zigzag
from eie.model_file.graph_section import decode_graph, encode_graph, graph_summary
from eie.model_file.huffman import deflate, inflate
from eie.model_file.layer_record import LayerRecord
from eie.network.graph_model import GraphModel
from eie.network.limits import ACTIVATION_FRACTION_BITS, ALL_LINES_LIMIT, LAYERS_LIMIT, METADATA_LIMIT, metadata_text
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel

ENDING = ".eie"
MAGIC = b"\x89EIE"
VERSION = 5
"""Newest version. A chain of layers is written as version 1, which any release reads; a graph needs version 2,
layers with row scales version 3, layers of two terms version 4, recurrent layers without the host version 5."""
_PREFIX = struct.Struct("<4sBII")
"""Magic, version, CRC-32 of the body, bytes of the body."""

BODY_LIMIT = 1 << 30
_BITS_LIMIT = 2 * max(map(abs, ACTIVATION_FRACTION_BITS))
AnyModel = Model | GraphModel | RecurrentModel


def save(model: AnyModel, path: str | os.PathLike[str], huffman: bool = True) -> int:
    """Write a model file.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    model : Model, GraphModel or RecurrentModel
    path : path-like
        Its ending is .eie; a file of that name is replaced, whole or not at all.
    huffman : bool
        Huffman-code the codes and relative indices; otherwise they have fixed widths.

    Returns
    -------
    int
        Size in bytes.

    Raises
    ------
    ModelFileError
        If the file cannot be written, or its metadata were changed to what is not JSON.
    """
    kinds = (Model, GraphModel, RecurrentModel)
    require_type(model, kinds, "what is saved", "an eie.Model, a graph's or an eie.RecurrentModel", ModelFileError)
    require_type(path, (str, os.PathLike), "path", "text or a path", ModelFileError)
    try:
        require_output(path, endings=(ENDING,))
        return _write(model, path, huffman)
    except ModelFileError:
        raise
    except EieError as error:
        raise ModelFileError(f"{error}") from error


def _write(model: AnyModel, path: str | os.PathLike[str], huffman: bool) -> int:
    body = _encode_body(model, huffman)
    version = _version(model)
    data = _PREFIX.pack(MAGIC, version, zlib.crc32(body), len(body)) + body
    with replacing(path) as partial:
        partial.write_bytes(data)
    return len(data)


def file_size(model: AnyModel, huffman: bool = True) -> int:
    """Return the bytes of the file that `save` would write."""
    return _PREFIX.size + len(_encode_body(model, huffman))


def load(path: str | os.PathLike[str]) -> AnyModel:
    """Read a model file.

    Returns
    -------
    Model, GraphModel or RecurrentModel
        Equal to the model that was saved, bit for bit.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, hostile or of another version; never any other error.
    """
    require_type(path, (str, os.PathLike), "path", "text or a path", ModelFileError)
    with _named(path):
        version, body = _read_body(Path(path))
        header = _read_header(Reader(body), version)
        layers = [entry.record.decode() for entry in header.entries]
        if header.cell:
            return RecurrentModel(header.cell, layers, header.input_bits, header.name, header.metadata)
        if header.graph is None:
            return Model(layers, header.name, header.metadata)
        return decode_graph(header.graph, layers, header.name, header.metadata)


def load_chain(path: str | os.PathLike[str]) -> Model:
    """Read a model file that holds a chain of layers: as `load`, and a graph is an error."""
    model = load(path)
    if not isinstance(model, Model):
        what = "a graph" if isinstance(model, GraphModel) else "a recurrent layer"
        raise ModelFileError(f"{path}: holds {what}, which this does not take; eie run, eie verify and eie info do")
    return model


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a model file's header and the size of each section, decoding no weights.

    Returns
    -------
    dict
        ``version``, ``name``, ``metadata``, ``bytes``, ``plain_bytes`` (what `save` writes with ``huffman=False``),
        ``float32_bytes``, and ``layers``: for each its header fields, ``bytes``, ``plain_bytes`` and ``sections``
        (bytes by name). Of a graph also ``graph_bytes`` and ``operators`` (how often each occurs), of a recurrent layer
        ``cell`` and ``input_fraction_bits``.

    Raises
    ------
    ModelFileError
        As `load`, as far as the header and the checksum tell.
    """
    require_type(path, (str, os.PathLike), "path", "text or a path", ModelFileError)
    with _named(path):
        version, data = _read_body(Path(path))
        name, metadata, entries, graph, cell, bits = _read_header(Reader(data), version)
        more: dict[str, Any] = {"cell": cell, "input_fraction_bits": bits} if cell else {}
        if graph is not None:
            more = {"graph_bytes": len(graph), "operators": graph_summary(graph)}
    size = _PREFIX.size + len(data)
    return {
        "version": version,
        "name": name,
        "metadata": metadata,
        "bytes": size,
        "plain_bytes": size + sum(entry.plain_bytes - entry.bytes for entry in entries),
        "float32_bytes": sum(4 * entry.record.rows * entry.record.columns for entry in entries),
        "layers": [_describe_layer(entry) for entry in entries],
        **more,
    }


def _describe_layer(entry: _Entry) -> dict[str, Any]:
    fields = {name: value for name, value in vars(entry.record).items() if name != "sections"}
    sections = {name: len(content) for name, content in entry.record.sections.items()}
    return {**fields, "bytes": entry.bytes, "plain_bytes": entry.plain_bytes, "sections": sections}


class _Entry(NamedTuple):
    record: LayerRecord
    bytes: int
    plain_bytes: int


class _Header(NamedTuple):
    name: str
    metadata: dict[str, Any]
    entries: list[_Entry]
    graph: Content | None
    cell: str
    """Kind of the recurrent layer that the layers are the gates of, or nothing."""
    input_bits: int


class _named:  # noqa: N801 - a context manager reads as a verb
    """Turn any error that the content of a file can cause into a `ModelFileError` that names the file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError):
            raise ModelFileError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        if isinstance(error, MemoryError):
            raise ModelFileError(f"{self.path}: there is not enough memory for what it declares") from error
        if isinstance(error, (EieError, ValueError, OverflowError, RecursionError, KeyError, TypeError)):
            raise ModelFileError(f"{self.path}: {error}") from error


def _read_body(path: Path) -> tuple[int, bytes]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise ModelFileError("not a regular file")
    with open(path, "rb") as file:
        prefix = file.read(_PREFIX.size)
        if not MAGIC.startswith(prefix[: len(MAGIC)]) or not prefix:
            raise ModelFileError(f"not an EIE model: it starts with {prefix[: len(MAGIC)]!r}, not {MAGIC!r}")
        if len(prefix) < _PREFIX.size:
            raise ModelFileError(f"truncated: {len(prefix)} bytes, fewer than the {_PREFIX.size} of the prefix")
        _, version, checksum, length = _PREFIX.unpack(prefix)
        if not 1 <= version <= VERSION:
            raise ModelFileError(
                f"format version {version}; this release reads versions 1 to {VERSION}: update eie-pynq"
            )
        if length > BODY_LIMIT:
            raise ModelFileError(f"declares {length} bytes; the limit is {BODY_LIMIT}")
        if status.st_size != _PREFIX.size + length:
            raise ModelFileError(
                f"{status.st_size} bytes, but its prefix declares {_PREFIX.size + length}: damaged; copy it anew"
            )
        body = file.read(length)
    if len(body) != length or zlib.crc32(body) != checksum:
        raise ModelFileError("the checksum does not match: the file is damaged; copy it anew")
    return version, body


def _read_header(body: Reader, version: int) -> _Header:
    name = body.text("model name")
    metadata = json.loads(inflate(body.section("metadata"), METADATA_LIMIT))
    metadata_text(metadata)
    entries, lines = [], 0
    for _ in range(body.number("layers", LAYERS_LIMIT)):
        plain_bytes = body.number("plain bytes", BODY_LIMIT)
        content = body.section("layer")
        record = LayerRecord.parse(content, version)
        entries.append(_Entry(record, len(content), plain_bytes))
        lines += record.rows + record.columns
        if lines > ALL_LINES_LIMIT:
            raise ModelFileError(f"the layers have {lines} rows and columns or more; the limit is {ALL_LINES_LIMIT}")
    graph = body.section("graph") if version >= 2 else None
    cell = body.text("cell") if version >= 5 else ""
    bits = unzigzag(body.number("input fraction bits", _BITS_LIMIT)) if cell else 0
    body.end("the model")
    if version >= 3 and graph is not None and not len(graph):  # what is no graph has an empty one
        graph = None
    if graph is not None and cell:
        raise ModelFileError(f"it is both a graph and a recurrent layer {cell!r}")
    return _Header(name, metadata, entries, graph, cell, bits)


def _version(model: AnyModel) -> int:
    if isinstance(model, RecurrentModel) or (isinstance(model, GraphModel) and model.sequences):
        return 5
    if any(layer.second for layer in model.layers):
        return 4
    if any(layer.scaling for layer in model.layers):
        return 3
    return 2 if isinstance(model, GraphModel) else 1


def _encode_body(model: AnyModel, huffman: bool) -> bytes:
    version = _version(model)
    body = Writer()
    body.text("model name", model.name)
    body.section(deflate(metadata_text(model.metadata)))
    body.number("layers", len(model.layers), LAYERS_LIMIT)
    for layer in model.layers:
        plain = LayerRecord.encode(layer, huffman=False).to_bytes(version)
        body.number("plain bytes", len(plain), BODY_LIMIT)
        body.section(LayerRecord.encode(layer, huffman=True).to_bytes(version) if huffman else plain)
    if isinstance(model, GraphModel):
        body.section(encode_graph(model))
    elif version >= 3:
        body.section(b"")
    if version >= 5:
        body.text("cell", model.kind if isinstance(model, RecurrentModel) else "")
    if isinstance(model, RecurrentModel):
        body.number("input fraction bits", zigzag(model.input_fraction_bits), _BITS_LIMIT)
    if len(body.data) > BODY_LIMIT:
        raise ModelFileError(f"the file would have {len(body.data)} bytes; the limit is {BODY_LIMIT}")
    return bytes(body.data)
