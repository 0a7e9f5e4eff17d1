#!/usr/bin/env python3
"""The image of Pratique, put together without a container engine: an OCI image layout with an index of all platforms.

    release/image.py PARTS LAYOUT

PARTS holds amd64/, arm64/ or both, as build.sh leaves them. The result is what the Dockerfile describes: the binary, the roots
of public certificate authorities (Mozilla's, from the wheel that requirements.txt names), two texts, and nothing else. The
same parts give the same bytes: owners, modes and times are set here, and SOURCE_DATE_EPOCH says the time (1970 where it is
not set). Only gzip is this machine's; another zlib may give another digest around the same content.

    SOURCE_DATE_EPOCH=SECONDS   when the revision was committed: `git log -1 --format=%ct`
    PRATIQUE_REVISION=TEXT      as for build.sh
"""

import datetime
import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
import tomllib
import zlib

import certifi

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
SECONDS = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
CREATED = datetime.datetime.fromtimestamp(SECONDS, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
PLATFORMS = ("amd64", "arm64")
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"


def labels():
    revision = os.environ.get("PRATIQUE_REVISION", "")
    said = {
        "title": "Pratique",
        "description": PACKAGE["description"],
        "source": PACKAGE["repository"],
        "licenses": PACKAGE["license"],
        "version": PACKAGE["version"],
        "created": CREATED,
        **({"revision": revision} if revision else {}),
    }
    return {f"org.opencontainers.image.{key}": value for key, value in said.items()}


def layer(parts):
    """A tar of what is in the image, owned by root, which is not who runs it."""
    files = {
        "LICENSE": (ROOT / "LICENSE", 0o444),
        "THIRD-PARTY": (parts / "THIRD-PARTY", 0o444),
        "etc": (None, 0o755),
        "etc/ssl": (None, 0o755),
        "etc/ssl/certs": (None, 0o755),
        "etc/ssl/certs/ca-certificates.crt": (pathlib.Path(certifi.where()), 0o444),
        "pratique": (parts / "pratique", 0o555),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (source, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = mode, SECONDS
            if source is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                content = source.read_bytes()
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def compressed(content):
    # 31: with the header of gzip, which then names neither a file nor a time.
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    return deflate.compress(content) + deflate.flush()


class Layout:
    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def add(self, kind, content, **more):
        """Keeps a blob, and returns what describes it."""
        if not isinstance(content, bytes):
            content = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content), **more}

    def platform(self, architecture, parts):
        tar = layer(parts)
        config = {
            "created": CREATED,
            "architecture": architecture,
            "os": "linux",
            "config": {
                # By number, because runAsNonRoot cannot judge a name.
                "User": "65532:65532",
                "ExposedPorts": {"8443/tcp": {}, "9090/tcp": {}},
                "Entrypoint": ["/pratique"],
                "Cmd": ["serve"],
                "Labels": labels(),
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
            "history": [{"created": CREATED, "created_by": "release/image.py"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.add(CONFIG, config),
            "layers": [self.add(LAYER, compressed(tar))],
            "annotations": labels(),
        }
        return self.add(MANIFEST, manifest, platform={"architecture": architecture, "os": "linux"})

    def finish(self, manifests):
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": labels()}
        # What is pushed is this file itself, so its digest is the image's.
        content = json.dumps(index, separators=(",", ":"), sort_keys=True).encode()
        (self.folder / "index.json").write_bytes(content)
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


def main(parts, folder):
    built = [name for name in PLATFORMS if (parts / name / "pratique").is_file()]
    if not built:
        sys.exit(f"image.py: neither amd64 nor arm64 was built in {parts}")
    layout = Layout(folder)
    print(layout.finish([layout.platform(name, parts / name) for name in built]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
