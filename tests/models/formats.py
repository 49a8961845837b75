"""Writes tests/models/formats: one small file per format, harmless and harmful ones, made by the libraries themselves.

python3 -m venv venv && venv/bin/pip install numpy onnx && venv/bin/python tests/models/formats.py
"""

import collections
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile

import numpy
import onnx
from onnx import TensorProto, helper

OUT = pathlib.Path(__file__).parent / "formats"


class Harmful:
    def __reduce__(self):
        return (os.system, ("true",))


def pickled(value, protocol=4):
    return pickle.dumps(value, protocol=protocol)


class Storage:
    """Writes what torch.save writes for one tensor."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", "FloatStorage", "0", "cpu", 4) if isinstance(value, Storage) else None


def torch_pickle(extra=None):
    # The opcodes of torch.save for {"weight": tensor of 4 floats}, written out: torch itself is 200 MB.
    body = b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03"
    body += b"ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x04tq\x07QK\x00K\x04\x85q\x08K\x01\x85q\t"
    body += b"\x89ccollections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\rs"
    return body + (extra or b"") + b"."


def archive(files, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as z:
        for name, data in files.items():
            z.writestr(zipfile.ZipInfo(name), data, compress_type=options.get("compression"))
    return out.getvalue()


def torch_archive(pickle_bytes, **options):
    files = {"archive/data.pkl": pickle_bytes, "archive/byteorder": b"little", "archive/data/0": b"\0" * 16, "archive/version": b"3\n"}
    return archive(files, **options)


def safetensors(trailing=b"", start=0):
    header = json.dumps({"__metadata__": {"format": "pt"}, "weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [start, 16]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 16 + trailing


def gguf(tensor_offset=0):
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, 1, 3)
    out += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    out += text("general.quantization_version") + struct.pack("<II", 4, 2)
    out += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    out += text("weight") + struct.pack("<IQIQ", 1, 4, 0, tensor_offset)
    return out + b"\0" * 64


def onnx_model(domain="", location=None):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    if location:
        weight.ClearField("float_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", location
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Add" if not domain else "Mine", ["x", "w"], ["y"], domain=domain)
    imports = [helper.make_opsetid("", 21)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph([node], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=imports).SerializeToString()


def array(value):
    out = io.BytesIO()
    numpy.save(out, value)
    return out.getvalue()


def keras(config):
    return archive({"metadata.json": b"{}", "config.json": json.dumps(config).encode(), "model.weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 64})


LAYER = {"class_name": "Dense", "config": {}}
LAMBDA = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}

FILES = {
    # data
    "data/model.safetensors": safetensors(),
    "data/model.gguf": gguf(),
    "data/model.onnx": onnx_model(),
    "data/array.npy": array(numpy.zeros(3, dtype="float32")),
    "data/arrays.npz": archive({"a.npy": array(numpy.zeros(3))}),
    "data/model.keras": keras(LAYER),
    "data/weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 32 + json.dumps(LAYER).encode(),
    "data/pytorch_model.bin": torch_archive(torch_pickle()),
    "data/legacy.pt": pickled(0x1950A86A20F9469CFC6C, 2) + pickled(1001, 2) + pickled({"little_endian": True}, 2) + torch_pickle() + pickled(["0"], 2) + b"\0" * 16,
    "data/plain.pkl": pickled(collections.OrderedDict(a=[1, 2.5, "x", b"y", None, True])),
    "data/array.pkl": pickled(numpy.arange(4.0)),
    "data/config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "data/labels.txt": b"cat\ndog\nbird\n",
    "data/README.md": "# A model\n\nGr\u00f6\u00dfe\n".encode(),
    "data/empty.txt": b"",
    # code
    "code/harmful.pkl": pickled(Harmful()),
    "code/harmful-0.pkl": pickled(Harmful(), 0),
    "code/weights.safetensors": pickled(Harmful()),
    "code/notes.txt": pickled(Harmful(), 0),
    "code/breaks-off.bin": pickled(Harmful())[:-1] + b"\xff\xff",
    "code/second.pkl": pickled([1]) + pickled(Harmful()),
    "code/pytorch_model.bin": torch_archive(torch_pickle(b"cos\nsystem\n(X\x04\x00\x00\x00truetR0")),
    "code/computed.pkl": b"\x80\x04)\x8c\x06system\x93.",
    "code/registry.pkl": b"\x80\x02\x82\x01.",
    "code/script.pt": archive({"m/data.pkl": torch_pickle(), "m/code/__torch__.py": b"def f(): pass", "m/constants.pkl": b"\x80\x02)."}),
    "code/objects.npy": array(numpy.array([Harmful()], dtype=object)),
    "code/lambda.keras": keras({"layers": [LAMBDA]}),
    "code/lambda.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 32 + json.dumps(LAMBDA).encode(),
    "code/custom.onnx": onnx_model("acme.ops"),
    "code/saved_model.pb": b"\x08\x01\x12\x04\x0a\x02\x08\x01",
    "code/config.json": b'{"auto_map": {"AutoModel": "acme/x--modeling.Evil"}}',
    "code/modeling.py": b"import os\n",
    "code/libops.bin": b"\x7fELF\x02\x01\x01" + b"\0" * 57,
    # unknown
    "unknown/trailing.safetensors": safetensors(b"more"),
    "unknown/holes.safetensors": safetensors(start=8),
    "unknown/hidden.gguf": gguf() + archive({"data.pkl": pickled(Harmful())}),
    "unknown/beyond.gguf": gguf(1 << 40),
    "unknown/version.gguf": b"GGUF\x09\0\0\0" + b"\0" * 16,
    "unknown/outside.onnx": onnx_model(location="../../etc/passwd"),
    "unknown/packed.joblib": b"\x78\x9c\x63\x60\x80\x80\x00\x00",
    "unknown/packed.bin": torch_archive(torch_pickle(), compression=zipfile.ZIP_DEFLATED),
    "unknown/cut.pkl": pickled({"a": list(range(50))})[:60],
    "unknown/noise.bin": bytes((i * 37 + 11) % 256 for i in range(512)),
    "unknown/text.safetensors": b"not a tensor in sight\n",
}


def twice():
    out = io.BytesIO()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(out, "w") as z:
            z.writestr(zipfile.ZipInfo("archive/data.pkl"), torch_pickle())
            z.writestr(zipfile.ZipInfo("archive/data.pkl"), pickled(Harmful()))
    return out.getvalue()


FILES["unknown/twice.pt"] = twice()

for name, data in FILES.items():
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
