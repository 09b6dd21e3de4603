"""How everything on the page was made: commands, seeds, versions, hashes, machines."""

from __future__ import annotations

from edgesynth.report.blocks import Block, Cell, Column, Facts, Section, Table
from edgesynth.report.evidence import Evidence, Finding
from edgesynth.report.lineage import Evolution
from edgesynth.report.subjects import Cast
from edgesynth.report.words import in_words


def provenance(evidence: Evidence, cast: Cast) -> Section:
    """A list of facts per run, and per record: the parent's first, measured before predicted."""
    blocks: list[Block] = [_run(run) for run in evidence.runs]
    findings = [finding for subject in cast.everyone for finding in subject.findings]
    findings.sort(key=lambda finding: finding.record.kind)
    if findings:
        blocks.append(_records(findings))
    blocks += [_finding(finding) for finding in findings]
    return Section("provenance", "How this was made", blocks)


def _run(run: Evolution) -> Facts:
    pairs = [("History", Cell(str(run.path)))]
    if run.run is not None:
        made = run.run
        pairs += [
            ("Command", Cell(made.command, tone="code")),
            ("Data", Cell(made.data)),
            ("Parent", Cell(f"{made.parent}, weights SHA-256 {made.parent_sha256}")),
            ("Status", Cell(f"{made.status}: {made.stopped}" if made.stopped else made.status)),
            ("Plan", Cell(in_words(made.plan))),
            ("Versions", Cell(in_words(made.versions))),
        ]
    return Facts(pairs, f"Evolution in {run.name}/")


def _records(findings: list[Finding]) -> Table:
    columns = [Column(title) for title in ("Record", "Kind", "Bundle", "SHA-256", "Made")]
    rows = [
        [
            Cell(finding.path.name, tip=str(finding.path)),
            Cell("", badge=finding.record.kind),
            Cell(finding.record.bundle.name, tip=finding.record.bundle.name),
            Cell((finding.record.bundle.id or "–")[:12], tip=finding.record.bundle.id or ""),
            Cell(finding.record.created),
        ]
        for finding in findings
    ]
    return Table(columns, rows, caption="The hash is the one of the bundle's manifest.")


def _finding(finding: Finding) -> Facts:
    record = finding.record
    pairs = [("Command", Cell(record.command, tone="code"))] if record.command else []
    for heading, document in (
        ("Device", record.device),
        ("Measurement", record.measurement),
        ("Software", record.software),
        ("Model", finding.document.get("model") or {}),
    ):
        text = in_words(document)
        if text:
            pairs.append((heading, Cell(text)))
    return Facts(pairs, finding.path.name, folded=True)
