#!/usr/bin/env python3
"""What a binary of a release is made of: a CycloneDX bill of materials, and the licences that its parts ask to be passed on.

    release/sbom.py BINARY ARTIFACTS TARGET FOLDER

BINARY was built for TARGET by build.sh, ARTIFACTS is what cargo said while it built. Into FOLDER come `pratique`, which is BINARY
with the list in it, in the form of cargo-auditable, where `cargo audit bin`, Trivy, Grype and Syft look for it;
`pratique.cdx.json`; and `THIRD-PARTY`.

Listed is what cargo resolved as normal dependencies for the target, without procedural macros, which run at build time and
leave none of their own code; where that is not exactly what the compiler was given, nothing is written. (cargo-cyclonedx 0.5.9
and cargo-auditable 0.7.7 take the list from `cargo metadata`, which resolves no features by target: they name ring, which is
not in the tree, and 40 and 21 more, and scanners would report what those have.) Beside crates: the C code of AWS-LC, Rust's
own library, and musl. No clock and no path of this machine gets in: the same binary gives the same bytes.
"""

import collections
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import uuid
import zlib

import ziglang

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "pratique"
MUSL = pathlib.Path(ziglang.__file__).parent / "lib/libc/musl"
# How files with licences are called in crates.
LICENCE_FILE = re.compile(r"(un)?licen[sc]e|copying|notice|copyright", re.IGNORECASE)


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments, "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def resolved(target):
    """Crates as (name, version): their features and what they depend on, as `cargo tree` says."""
    lines = cargo("tree", "--package", NAME, "--edges", "normal,no-proc-macro", "--target", target, "--prefix", "depth",
                  "--format", " {p}|{f}")
    crates, above = collections.defaultdict(lambda: {"features": set(), "needs": set()}), []
    for line in filter(None, lines.splitlines()):
        depth, package, features = re.fullmatch(r"(\d+) (\S+ v\S+)[^|]*\|([^ ]*)(?: \(\*\))?", line).groups()
        crate = tuple(package.split(" v"))
        crates[crate]["features"] |= set(filter(None, features.split(",")))
        del above[int(depth):]
        if above:
            crates[above[-1]]["needs"].add(crate)
        above.append(crate)
    return crates


def compiled(artifacts, target):
    """Crates as (name, version) of which the compiler made something for the target."""
    crates = set()
    for line in artifacts.read_text().splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and any(f"/{target}/" in file for file in message["filenames"]):
            identity = message["package_id"].rpartition("#")[2]
            crates.add(tuple(identity.split("@")) if "@" in identity else (NAME, identity))
    return crates


def described():
    """What the manifests of all packages say, and where their sources are."""
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    return {(package["name"], package["version"]): package for package in packages}


def checksums():
    """SHA-256 of what the registry serves, from Cargo.lock."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in packages}


def purl(crate):
    name, version = crate
    return f"pkg:cargo/{name}@{version.replace('+', '%2B')}"


def licence(package):
    # The slash is how manifests of old said OR.
    return " ".join(package["license"].replace("/", " OR ").split())


def component(crate, package, checksum, features):
    return {
        "type": "library",
        "bom-ref": purl(crate),
        "name": crate[0],
        "version": crate[1],
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": checksum}],
        "licenses": [{"expression": licence(package)}],
        "purl": purl(crate),
        "externalReferences": [{"type": "vcs", "url": package["repository"]}] if package["repository"] else [],
        "properties": [{"name": "cargo:features", "value": " ".join(sorted(features))}] if features else [],
    }


def aws_lc(packages):
    """The C library, which scanners know by its own name."""
    base = folder(packages[next(crate for crate in packages if crate[0] == "aws-lc-sys")]) / "aws-lc/include/openssl/base.h"
    version = re.search(r'AWSLC_VERSION_NUMBER_STRING "([0-9.]+)"', base.read_text()).group(1)
    return other("aws-lc", version, "Apache-2.0 AND ISC AND MIT AND BSD-3-Clause", f"pkg:github/aws/aws-lc@v{version}")


def rustc(*arguments):
    done = subprocess.run(["rustc", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def rust():
    version = rustc("--version").split()[1]
    return other("rust-std", version, "MIT OR Apache-2.0", f"pkg:github/rust-lang/rust@{version}")


def musl():
    version = re.search(r'VERSION "([0-9.]+)"', (MUSL / "src/internal/version.h").read_text()).group(1)
    return other("musl", version, "MIT", f"pkg:generic/musl@{version}")


def other(name, version, expression, identity):
    return {
        "type": "library",
        "bom-ref": identity,
        "name": name,
        "version": version,
        "scope": "required",
        "licenses": [{"expression": expression}],
        "purl": identity,
    }


def bill(binary, target, crates, packages):
    root = next(crate for crate in crates if crate[0] == NAME)
    sums, beside = checksums(), [aws_lc(packages), rust(), musl()]
    libraries = sorted(crate for crate in crates if crate != root)
    own = {
        "type": "application",
        "bom-ref": purl(root),
        "name": NAME,
        "version": root[1],
        "description": packages[root]["description"],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(binary.read_bytes()).hexdigest()}],
        "licenses": [{"expression": licence(packages[root])}],
        "purl": purl(root),
        "externalReferences": [{"type": "vcs", "url": packages[root]["repository"]}],
        "properties": [{"name": "cargo:target", "value": target}],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": [component(crate, packages[crate], sums[crate], crates[crate]["features"]) for crate in libraries] + beside,
        "dependencies": [
            {"ref": purl(crate), "dependsOn": sorted(purl(needed) for needed in crates[crate]["needs"])}
            for crate in [root, *libraries]
        ],
    }
    # Of the content, so that it is another one where anything else is.
    content = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}", **document}


def auditable(crates):
    """Packages by their place in the list, as https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md says."""
    order = sorted(crates)
    place = {crate: number for number, crate in enumerate(order)}
    packages = []
    for crate in order:
        own = crate[0] == NAME
        package = {"name": crate[0], "version": crate[1], "source": "local" if own else "crates.io"}
        needs = sorted(place[needed] for needed in crates[crate]["needs"])
        packages.append({**package, **({"dependencies": needs} if needs else {}), **({"root": True} if own else {})})
    return zlib.compress(json.dumps({"packages": packages}, separators=(",", ":")).encode(), 9)


def with_list(binary, crates, finished):
    # rustc's own objcopy, because it knows the files of every processor; rustc tells it in this way where its library is.
    toolchain = pathlib.Path(rustc("--print", "sysroot"))
    tool = toolchain / "lib/rustlib" / rustc("--print", "host-tuple") / "bin/rust-objcopy"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(toolchain / "lib")}
    with tempfile.NamedTemporaryFile() as section:
        section.write(auditable(crates))
        section.flush()
        subprocess.run([tool, f"--add-section=.dep-v0={section.name}", binary, finished], check=True, env=environment)
    finished.chmod(0o755)
    return finished


def folder(package):
    return pathlib.Path(package["manifest_path"]).parent


def texts(where):
    """Texts of licences: beside the manifest, and one folder below it (of C code that a crate brings along)."""
    for file in sorted([*where.glob("*"), *where.glob("*/*")]):
        if file.is_file() and LICENCE_FILE.match(file.name) and file.suffix not in (".rs", ".toml", ".py", ".go"):
            yield text_of(file)


def text_of(file):
    return "\n".join(line.rstrip() for line in file.read_text(errors="replace").strip().splitlines())


def third_party(crates, packages, beside):
    """Each text once, under the names of all that come with it."""
    by_text, without = collections.defaultdict(list), []
    for crate in sorted(crates):
        if crate[0] == NAME:
            continue
        found = set(texts(folder(packages[crate])))
        title = f"{crate[0]} {crate[1]} ({licence(packages[crate])})"
        for text in found:
            by_text[text].append(title)
        if not found:
            without.append(title)
    for part, file in beside:
        by_text[text_of(file)].append(f"{part['name']} {part['version']} ({part['licenses'][0]['expression']})")
    rule = "=" * 100
    yield f"{NAME} is one static binary, made of the following beside its own code (Apache-2.0, see LICENSE)."
    if without:
        yield "\nThese come without a text of their licence; what they say of it stands behind their names:\n"
        yield from without
    for text, names in sorted(by_text.items(), key=lambda entry: entry[1]):
        yield f"\n{rule}\n" + "\n".join(names) + f"\n{rule}\n\n{text}"


def main(binary, artifacts, target, where):
    crates, packages, given = resolved(target), described(), compiled(artifacts, target)
    if set(crates) != given:
        sys.exit(f"sbom.py: cargo tree and the compiler do not agree for {target}: {sorted(set(crates) ^ given)}")
    finished = with_list(binary, crates, where / NAME)
    document = bill(finished, target, crates, packages)
    (where / "pratique.cdx.json").write_text(json.dumps(document, indent=1) + "\n")
    # Rust's own library is under the Apache licence too, whose text comes with many crates.
    mit = pathlib.Path(rustc("--print", "sysroot")) / "share/doc/rust/licenses/MIT.txt"
    beside = [(document["components"][-1], MUSL / "COPYRIGHT"), (document["components"][-2], mit)]
    (where / "THIRD-PARTY").write_text("\n".join(third_party(crates, packages, beside)) + "\n")
    print(f"{target}: {len(crates) - 1} crates, and no other was compiled for it")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*(pathlib.Path(word) if place != 2 else word for place, word in enumerate(sys.argv[1:])))
