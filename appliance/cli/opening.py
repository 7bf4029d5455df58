"""`slipway open LINK --to DIR`: the reference reader. Fetches, decrypts, verifies, writes Part 10 files."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from appliance.adapters.link_reader import LinkReader
from appliance.cli.output import DEFAULT_CONFIG, Config, Json, print_json, run
from appliance.errors import FormatError, LinkGoneError, SlipwayError
from appliance.formats import link as links
from appliance.formats import manifest as manifests
from appliance.formats import part10, stream
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes, proof
from appliance.formats.link import Link
from appliance.formats.manifest import Instance, Manifest

SENTENCE_CHARS = 200


def open_link(
    link: Annotated[str, typer.Argument(help="The link on the slip; quote it, as it holds a #.", metavar="LINK")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write to; made if absent.", file_okay=False)],
    factor: Annotated[str, typer.Option(help="Birth date YYYYMMDD, or the PIN. Asked for where needed.")] = "",
    config: Config = DEFAULT_CONFIG,
    *,
    json: Json = False,
) -> None:
    """Open a link as a patient would, and write every dataset bit for bit as it was sent."""
    value = run(_open(links.parse(link), factor, to, quiet=json))
    if json:
        print_json(value)
    else:
        print(*told(value, to), sep="\n")


def told(value: dict[str, Any], to: Path) -> list[str]:
    """What was opened, in lines: how many images, by whose word that is all, and a warning where it is not."""
    lines = [f"{value['written']} image(s) in {to}, each verified; the share is {_plain(value['state'])}."]
    if value["source"]:
        source = _plain(value["source"])
        lines.append(f"  {source[:1].upper()}{source[1:]}.")
    if value["written"] < value["received"]:
        lines.append(f"  {value['received'] - value['written']} more are on their way to the vault: open again later.")
    if value["verdict"] and value["verdict"]["missing"]:
        missing, expected = value["verdict"]["missing"], value["verdict"]["expected"]
        lines.append(
            f"WARNING: {missing} of {expected} image(s) have not reached the box: this is not the whole study."
        )
        lines.append("  Open it again later, or ask the imaging department for what is missing.")
    return lines


def _plain(text: str) -> str:
    """Whoever made the slip wrote this: nothing of it may steer the terminal."""
    return "".join(char for char in text if char.isprintable())[:SENTENCE_CHARS]


async def _open(link: Link, factor: str, to: Path, *, quiet: bool) -> dict[str, Any]:
    async with LinkReader(link.public_url, link.link_id) as reader:
        kind = FactorKind(await reader.factor())
        factor = _ask_factor(kind, factor)
        canonical = factor_bytes(kind, factor)
        opened = await reader.open(proof(link.secret, link.link_id, canonical))
        share_id, data_key = LinkKeys(link.link_id, link.secret, opened.share_key, canonical).unwrap(opened.envelope)
        if share_id != opened.share_id:
            raise FormatError("the vault answered for another share")
        answer = await reader.manifest(opened.token)
        if answer is None:
            raise LinkGoneError("no image has reached the vault yet", hint="Try again in a moment; the link is good.")
        manifest = manifests.unseal(answer[1], share_id, answer[0], data_key)
        files = await _write_all(reader, opened.token, manifest, to, quiet=quiet)
    return {
        "state": manifest.state,
        "source": manifest.source,
        "verdict": asdict(manifest.verdict) if manifest.verdict else None,
        "received": manifest.received,
        "written": len(files),
        "generation": manifest.generation,
        "files": files,
    }


def _ask_factor(kind: FactorKind, factor: str) -> str:
    if kind is FactorKind.NONE:
        return ""
    if not factor:
        factor = typer.prompt("Birth date (YYYYMMDD)" if kind is FactorKind.BIRTH_DATE else "PIN", hide_input=True)
    return "".join(char for char in factor if char.isdigit())


async def _write_all(
    reader: LinkReader, token: str, manifest: Manifest, to: Path, *, quiet: bool
) -> list[dict[str, Any]]:
    """One folder a series. Names are numbers: nothing from a dataset ever becomes a path."""
    total = sum(1 for _ in manifest.instances())
    files: list[dict[str, Any]] = []
    series = [(study, one) for study in manifest.studies for one in study.series]
    for number, (_, one) in enumerate(series, 1):
        for index, instance in enumerate(one.instances, 1):
            path = to / f"series-{number:03d}" / f"{index:05d}.dcm"
            await _write(reader, token, instance, path)
            files.append({"path": str(path), "size": instance.size})
            if not quiet and sys.stderr.isatty():
                print(f"\r{len(files)} of {total}", end="", file=sys.stderr, flush=True)
    if not quiet and sys.stderr.isatty():
        print(file=sys.stderr)
    return files


async def _write(reader: LinkReader, token: str, instance: Instance, path: Path) -> None:
    """The file appears under its name only when its last byte has been verified."""
    temporary = path.with_suffix(".part")
    opener = stream.StreamOpener(instance.key, stream.instance_aad(instance.stream_id))
    written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(part10.header(instance.sop_class, instance.uid, instance.syntax))
            for piece in instance.pieces:
                for plain in opener.feed(await reader.object_range(token, piece.number, piece.offset, piece.length)):
                    written += file.write(plain)
            written += file.write(opener.finish())
        if written != instance.size:
            raise FormatError("an image is not as long as the share's manifest says")
        temporary.rename(path)
    except OSError as error:
        raise SlipwayError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
