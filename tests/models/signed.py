"""Writes tests/models/signed: small models signed by the real model_signing, good ones and bad ones.

python3 -m venv venv && venv/bin/pip install model-signing==1.1.1 pyOpenSSL && venv/bin/python tests/models/signed.py

Keys are made anew on each run and thrown away; only the public ones are kept, in trust.yaml. `cases.json` says what
model_signing itself makes of each model, so that the ordinary tests need no Python.
"""

import base64
import contextlib
import copy
import io
import json
import os
import pathlib
import shutil
import struct
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing, verifying

OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "signed"


def key(name, curve=None):
    private = ec.generate_private_key(curve or ec.SECP256R1())
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (KEYS / f"{name}.pem").write_bytes(pem)
    (KEYS / f"{name}.pub").write_bytes(public)
    return private


def tensors(value):
    header = json.dumps({"w": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<64f", *([value] * 64))


def model(name):
    root = OUT / name
    (root / "tokenizer").mkdir(parents=True)
    (root / "model.safetensors").write_bytes(tensors(1.0))
    (root / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}\n')
    (root / "tokenizer" / "vocab.txt").write_text("cat\ndog\n")
    return root


def sign(root, config=None, name="acme", signature="model.sig"):
    config = config or hashing.Config()
    # Like its command line: the signature itself and what git keeps are left out.
    config.set_ignored_paths(paths=[pathlib.Path(signature)], ignore_git_paths=True)
    signing.Config().use_elliptic_key_signer(private_key=KEYS / f"{name}.pem").set_hashing_config(config).sign(root, root / signature)


def forge(root, change):
    """Signs a changed statement with the right key."""
    from cryptography.hazmat.primitives import hashes

    path = root / "model.sig"
    bundle = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    kind = b"application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(ACME.sign(pae, ec.ECDSA(hashes.SHA256()))).decode()
    path.write_text(json.dumps(bundle))


def root_digest(statement):
    import hashlib

    digests = b"".join(bytes.fromhex(r["digest"]) for r in statement["predicate"]["resources"])
    statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(digests).hexdigest()


CASES = {}


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


@case
def good(root):
    sign(root)


@case
def good_shards(root):
    (root / "empty.txt").write_text("")
    sign(root, hashing.Config().use_shard_serialization(shard_size=100))


@case
def good_blake3(root):
    sign(root, hashing.Config().use_file_serialization(hashing_algorithm="blake3"))


@case
def good_p384(root):
    sign(root, name="large")


@case
def good_git_files(root):
    sign(root)
    (root / ".gitattributes").write_text("*.bin\n")


@case
def changed_byte(root):
    sign(root)
    path = root / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@case
def changed_byte_in_shard(root):
    sign(root, hashing.Config().use_shard_serialization(shard_size=100))
    path = root / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(bytes(data))


@case
def grown_file(root):
    sign(root, hashing.Config().use_shard_serialization(shard_size=100))
    with (root / "model.safetensors").open("ab") as f:
        f.write(b"x")


@case
def extra_file(root):
    sign(root)
    (root / "tokenizer" / "extra.txt").write_text("more\n")


@case
def removed_file(root):
    sign(root)
    (root / "config.json").unlink()


@case
def renamed_file(root):
    sign(root)
    (root / "config.json").rename(root / "configuration.json")


@case
def symlink(root):
    sign(root)
    path = root / "config.json"
    path.rename(root.parent / "elsewhere.json")
    path.symlink_to("../elsewhere.json")


@case
def symlink_to_folder(root):
    sign(root)
    (root / "more").symlink_to("tokenizer")


@case
def swapped_files(root):
    sign(root)
    a, b = root / "config.json", root / "tokenizer" / "vocab.txt"
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)


@case
def wrong_key(root):
    sign(root, name="stranger")


@case
def unsigned(root):
    pass


@case
def no_bundle(root):
    (root / "model.sig").write_text("{}\n")


@case
def changed_statement(root):
    sign(root)
    path = root / "model.sig"
    bundle = json.loads(path.read_text())
    statement = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b"config.json", b"konfig.json")
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(statement).decode()
    path.write_text(json.dumps(bundle))


@case
def wrong_predicate(root):
    sign(root)

    def change(statement):
        statement["predicateType"] = "https://slsa.dev/provenance/v1"

    forge(root, change)


@case
def old_predicate(root):
    sign(root)

    def change(statement):
        statement["predicateType"] = "https://model_signing/Digests/v0.1"
        statement["subject"] = [{"name": r["name"], "digest": {"sha256": r["digest"]}} for r in statement["predicate"]["resources"]]

    forge(root, change)


@case
def wrong_root_digest(root):
    sign(root)

    def change(statement):
        statement["subject"][0]["digest"]["sha256"] = "0" * 64

    forge(root, change)


@case
def two_subjects(root):
    sign(root)
    forge(root, lambda statement: statement["subject"].append(copy.deepcopy(statement["subject"][0])))


@case
def up_and_out(root):
    (root.parent / "outside.txt").write_text("outside\n")
    sign(root)

    def change(statement):
        first = copy.deepcopy(statement["predicate"]["resources"][0])
        first["name"] = "../outside.txt"
        statement["predicate"]["resources"].insert(0, first)
        root_digest(statement)

    forge(root, change)


@case
def file_twice(root):
    sign(root)

    def change(statement):
        resources = statement["predicate"]["resources"]
        evil = copy.deepcopy(resources[0])
        evil["digest"] = "0" * 64
        resources.insert(0, evil)
        root_digest(statement)

    forge(root, change)


@case
def path_not_plain(root):
    sign(root)

    def change(statement):
        resource = statement["predicate"]["resources"][0]
        resource["name"] = "./" + resource["name"]

    forge(root, change)


@case
def leaves_out_all(root):
    sign(root)
    (root / "extra.txt").write_text("more\n")
    forge(root, lambda statement: statement["predicate"]["serialization"]["ignore_paths"].append("."))


@case
def leaves_out_extra(root):
    sign(root)
    (root / "extra.txt").write_text("more\n")
    forge(root, lambda statement: statement["predicate"]["serialization"]["ignore_paths"].append("extra.txt"))


@case
def follows_links(root):
    sign(root)
    (root / "link.txt").symlink_to("config.json")

    def change(statement):
        statement["predicate"]["serialization"]["allow_symlinks"] = True
        resources = statement["predicate"]["resources"]
        linked = copy.deepcopy(next(r for r in resources if r["name"] == "config.json"))
        linked["name"] = "link.txt"
        resources.insert(1, linked)
        root_digest(statement)

    forge(root, change)


@case
def other_hash(root):
    sign(root)

    def change(statement):
        for resource in statement["predicate"]["resources"]:
            resource["algorithm"] = "sha512"

    forge(root, change)


@case
def nothing_listed(root):
    sign(root)

    def change(statement):
        statement["predicate"]["resources"] = []
        root_digest(statement)

    forge(root, change)


@case
def huge_shard_gap(root):
    sign(root, hashing.Config().use_shard_serialization(shard_size=100))

    def change(statement):
        del statement["predicate"]["resources"][1]
        root_digest(statement)

    forge(root, change)


def accepts(root):
    """What `model_signing verify key` says, with each key that the policy trusts."""
    last = "nothing was tried"
    for name in ("acme", "large"):
        try:
            # Like its command line: the signature is left out.
            config = verifying.Config().use_elliptic_key_verifier(public_key=KEYS / f"{name}.pub")
            if "shard" in root.name or root.name == "grown-file":
                # It reads the size of shards as a float, and then cannot count with it: told here as a number.
                config.set_hashing_config(hashing.Config().use_shard_serialization(shard_size=100))
            with contextlib.redirect_stdout(io.StringIO()):
                config.verify(root, root / "model.sig")
            return True, ""
        except Exception as error:
            if "Key mismatch" not in str(error) or last.startswith("nothing"):
                last = f"{type(error).__name__}: {error}"
    return False, last


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
KEYS = OUT / "keys"
KEYS.mkdir()
ACME = key("acme")
key("large", ec.SECP384R1())
key("stranger")
table = {}
for name, make in CASES.items():
    root = model(name)
    make(root)
    accepted, why = accepts(root)
    table[name] = "accepted" if accepted else "refused: " + why.replace(str(OUT), ".")[:160]
(OUT / "cases.json").write_text(json.dumps(table, indent=1, ensure_ascii=True) + "\n")


def indented(name):
    return "".join(f"          {line}\n" for line in (KEYS / f"{name}.pub").read_text().splitlines())


(OUT / "trust.yaml").write_text(
    "apiVersion: portcullis.dev/v1alpha1\nkind: AITrustPolicy\nmetadata: {name: models}\nspec:\n"
    "  registries:\n    - {host: registry.example}\n  authorities:\n"
    + "".join(f"    - name: {name}\n      key:\n        pem: |\n{indented(name)}" for name in ("acme", "large"))
    + "  rules:\n    - match: {artifact: model}\n      authorities: [acme, large]\n"
)
shutil.rmtree(KEYS)
