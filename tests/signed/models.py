"""Writes the layouts model-* in this folder: models in a registry, signed by the real model_signing.

python3 -m venv venv && venv/bin/pip install model-signing==1.1.1 pyOpenSSL && venv/bin/python tests/signed/models.py

The key is made anew on each run and thrown away; only the public one is kept, in model.pub.
"""

import gzip
import hashlib
import io
import json
import pathlib
import shutil
import struct
import tarfile
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

HERE = pathlib.Path(__file__).parent
WORK = pathlib.Path(tempfile.mkdtemp())
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
EMPTY, BUNDLE = "application/vnd.oci.empty.v1+json", "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE = "application/vnd.model-signing.signature.v0.1"

private = ec.generate_private_key(ec.SECP256R1())
(WORK / "key.pem").write_bytes(
    private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
(HERE / "model.pub").write_bytes(
    private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


class Layout:
    def __init__(self, name):
        self.root = HERE / name
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "blobs/sha256").mkdir(parents=True)
        (self.root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.tags = []

    def blob(self, data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        (self.root / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def manifest(self, kind=MANIFEST, **fields):
        return self.blob(json.dumps({"schemaVersion": 2, "mediaType": kind, **fields}, indent=1).encode(), kind)

    def tag(self, descriptor, tag):
        self.tags.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.tags}, indent=1))

    def attach(self, subject, bundle, tagged=False):
        """A signature as a referrer, or under the tag where a registry has no referrers."""
        layer = self.blob(bundle, BUNDLE)
        empty = self.blob(b"{}", EMPTY)
        hexed = subject["digest"].replace(":", "-")
        if tagged:
            self.tag(self.manifest(config=empty, layers=[layer]), f"{hexed}.sig")
            return
        own = self.manifest(artifactType=SIGNATURE, config=empty, layers=[layer], subject=subject)
        listed = self.manifest(INDEX, manifests=[{**own, "artifactType": SIGNATURE}])
        self.tag(listed, hexed)


def sign(files):
    """What model_signing says about these files."""
    root = pathlib.Path(tempfile.mkdtemp(dir=WORK))
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    config = hashing.Config().set_ignored_paths(paths=[pathlib.Path("model.sig")], ignore_git_paths=True)
    signing.Config().use_elliptic_key_signer(private_key=WORK / "key.pem").set_hashing_config(config).sign(root, root / "model.sig")
    return (root / "model.sig").read_bytes()


def tensors(value):
    header = json.dumps({"w": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<64f", *([value] * 64))


def files(value):
    return {
        "config.json": b'{"architectures": ["LlamaForCausalLM"]}\n',
        "model.safetensors": tensors(value),
        "tokenizer/vocab.txt": b"cat\ndog\n",
    }


def artifact(name, value, signed, tagged=False):
    """A model whose files are the layers, as `oras push` makes it."""
    layout = Layout(name)
    kind = "application/octet-stream"
    layers = [
        layout.blob(data, kind, annotations={"org.opencontainers.image.title": path}) for path, data in files(value).items()
    ]
    own = layout.manifest(artifactType="application/vnd.example.model", config=layout.blob(b"{}", EMPTY), layers=layers)
    layout.tag(own, "v1")
    layout.attach(own, sign(signed), tagged)


def image(name, value, signed_value):
    """A model packed into one layer, as a node mounts it; signed is the manifest: its layer and its configuration."""
    layout = Layout(name)

    def parts(value):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, data in files(value).items():
                info = tarfile.TarInfo(f"model/{path}")
                info.size = len(data)
                info.mode = 0o444
                tar.addfile(info, io.BytesIO(data))
        plain = packed.getvalue()
        config = {
            "created": "2026-01-02T03:04:05Z", "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        }
        return gzip.compress(plain, mtime=0), json.dumps(config).encode()

    layer, config = parts(value)
    own = layout.manifest(
        config=layout.blob(config, "application/vnd.oci.image.config.v1+json"),
        layers=[layout.blob(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    )
    layout.tag(own, "v1")
    layer, config = parts(signed_value)
    layout.attach(own, sign({"layer_000.tar.gz": layer, "config.json": config}))


artifact("model-files", 1.0, files(1.0))
artifact("model-files-tagged", 1.0, files(1.0), tagged=True)
artifact("model-files-altered", 2.0, files(1.0))
image("model-image", 1.0, 1.0)
image("model-image-altered", 2.0, 1.0)
shutil.rmtree(WORK)
