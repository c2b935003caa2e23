"""One run of ingest: scan, plan, parse, dedupe, embed, index, verify, publish.

Nothing that is published is touched: a run changes copies and publishes them at its end. Killed
at any point it leaves the published generation as it was; the next run starts from there, and
finds in the cache what was embedded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.build import Toolkit, largest_file
from ingest.deadletter import DeadLetter, read_letters, write_letters
from ingest.digests import FileDigests
from ingest.duplicates import needs_other_dropping
from ingest.generate import GenerationMaker, Made, awaits_vectors, shape_change
from ingest.labels import AccessRule, AccessRules
from ingest.manifest import Manifest, ManifestTotals
from ingest.pending import Pending
from ingest.plan import Plan, Planner, Rules
from ingest.progress import Progress
from ingest.publish import prune, writing
from ingest.report import ChunkCounts, DuplicateCounts, FileCounts, SyncReport, chunk_rate
from ingest.scan import Scan, absolute, is_under, scan
from ingest.uploads import uploaded
from rag.errors import UsageError
from rag.generation import Generation, read_current
from rag.labels import checked_labels

_DIGESTS = "digests.sqlite"


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a run is asked to do.

    With ``retry`` the paths are those of the tenant's failed files, whatever was given. ``access``
    are rules to remember, beside those of earlier runs.
    """

    paths: tuple[Path, ...] = ()
    delete_missing: bool = False
    retry: bool = False
    access: tuple[AccessRule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Survey:
    """All that is known before anything is changed."""

    current: Generation | None
    rules: Rules
    scan: Scan
    plan: Plan
    new_roots: tuple[str, ...]
    other_letters: tuple[DeadLetter, ...]
    digests: FileDigests
    needs_work: bool


def sync(request: SyncRequest, toolkit: Toolkit, progress: Progress) -> SyncReport:
    """Bring a tenant's part of a collection up to date with its files; returns what was done.

    Raises:
        UsageError: A path does not exist, or none was given.
        IndexStateError: Another run holds the collection, or the current generation is damaged.
        RagError: Something else than a single file failed; the current generation stays.
    """
    _check_paths(request)
    with writing(toolkit.collection_dir):
        survey = _survey(request, toolkit, progress)
        made = None
        if survey.needs_work:
            maker = GenerationMaker(toolkit, survey.current, progress)
            made = maker.make(survey.plan, survey.rules, survey.new_roots)
        letters = (*survey.plan.letters, *(made.intake.letters if made else ()))
        _settle(toolkit, survey, letters, published=made is not None)
        return _report(toolkit, survey, made, letters, progress)


def preview(request: SyncRequest, toolkit: Toolkit, progress: Progress) -> SyncReport:
    """Return what ``sync`` would find to do, without changing or parsing anything.

    Raises:
        UsageError: A path does not exist, or none was given.
        IndexStateError: The current generation is damaged.
    """
    _check_paths(request)
    survey = _survey(request, toolkit, progress)
    plan = survey.plan
    return SyncReport(
        collection=toolkit.settings.collection,
        tenant=survey.rules.tenant,
        generation=survey.current.number if survey.current else None,
        published=False,
        dry_run=True,
        files=_file_counts(survey, len(plan.tasks), tuple(plan.letters)),
        stages=progress.costs,
        failures=_failed(plan.letters),
        skipped=_skipped(survey, tuple(plan.letters)),
        notes=_notes(survey, toolkit),
    )


def _check_paths(request: SyncRequest) -> None:
    if not (request.paths or request.retry):
        raise UsageError("no path given", "sync", "name the files and folders to index")


def _survey(request: SyncRequest, toolkit: Toolkit, progress: Progress) -> _Survey:
    settings, directory = toolkit.settings, toolkit.collection_dir
    current, letters = read_current(directory), read_letters(directory)
    digests = FileDigests.load(directory / _DIGESTS)
    with _manifest_of(current) as manifest:
        rules = _rules(request, toolkit, manifest.access_rules(settings.tenant))
        with progress.stage("scan"):
            found = scan(
                _paths(request, rules.tenant, letters),
                own_data=settings.data_dir,
                may_be_gone=_may_be_gone(request, manifest, rules.tenant),
            )
            sent = uploaded(found, digests, settings)
        with progress.stage("plan"):
            found, before = sent.found, rules.access
            rules = replace(rules, access=before.having(sent.rules))
            plan = Planner(manifest, letters, digests, rules).plan(found)
            sent.withdraw(plan, manifest.documents(rules.tenant), before)
            drop = settings.drop_near_duplicates
            return _Survey(
                *(current, rules, found, plan, _new_roots(manifest, rules.tenant, found)),
                other_letters=tuple(x for x in letters if _is_other(x, rules.tenant, found)),
                digests=digests,
                needs_work=bool(plan.tasks or plan.edits)
                or plan.access != manifest.access_rules(rules.tenant)
                or shape_change(current, toolkit) is not None
                or awaits_vectors(current, toolkit)
                or needs_other_dropping(manifest, rules.tenant, drop=drop)
                or Pending(directory).exists(),
            )


def _rules(request: SyncRequest, toolkit: Toolkit, access: AccessRules) -> Rules:
    new = [
        AccessRule(str(absolute(Path(r.path))), checked_labels(r.labels)) for r in request.access
    ]
    return Rules(
        tenant=toolkit.settings.tenant,
        shape=toolkit.shape,
        largest=largest_file(toolkit.settings),
        retry=request.retry,
        delete_missing=request.delete_missing,
        access=access.having(new),
    )


def _is_other(letter: DeadLetter, tenant: str, found: Scan) -> bool:
    """Return whether this run has nothing to say about a letter, which so stays."""
    if letter.tenant != tenant:
        return True
    return not (found.covers(letter.path) or letter.is_gone())


def _manifest_of(current: Generation | None) -> Manifest:
    return Manifest.read(current.manifest_path) if current else Manifest.empty()


def _paths(request: SyncRequest, tenant: str, letters: tuple[DeadLetter, ...]) -> tuple[Path, ...]:
    if not request.retry:
        return request.paths
    mine = (letter for letter in letters if letter.tenant == tenant)
    return tuple(Path(letter.path) for letter in mine if letter.status == "failed")


def _may_be_gone(request: SyncRequest, manifest: Manifest, tenant: str) -> Callable[[str], bool]:
    """Return what tells of an absent path whether it may be: files are known, to be deleted."""
    if request.retry:
        return lambda _: True
    if not request.delete_missing:
        return lambda _: False
    known = [record.path for record in manifest.documents(tenant)]
    return lambda path: any(is_under(file, path) for file in known)


def _new_roots(manifest: Manifest, tenant: str, found: Scan) -> tuple[str, ...]:
    known = manifest.roots(tenant)
    return tuple(r for r in found.roots if not any(is_under(r, other) for other in known))


def _settle(
    toolkit: Toolkit, survey: _Survey, letters: tuple[DeadLetter, ...], *, published: bool
) -> None:
    directory = toolkit.collection_dir
    everything = {*survey.other_letters, *letters}
    if everything != set(read_letters(directory)):
        write_letters(directory, everything)
    found = {file.path for file in survey.scan.files}
    gone = [p for p in survey.digests.known if p not in found and survey.scan.covers(p)]
    survey.digests.save(directory / _DIGESTS, gone)
    if published:
        prune(directory, toolkit.settings.keep_generations)


def _report(
    toolkit: Toolkit,
    survey: _Survey,
    made: Made | None,
    letters: tuple[DeadLetter, ...],
    progress: Progress,
) -> SyncReport:
    settings = toolkit.settings
    generation = made.generation if made and made.generation else survey.current
    with _manifest_of(generation) as manifest:
        totals = manifest.totals(survey.rules.tenant)
        waiting = len(manifest.unembedded(survey.rules.tenant))
    impact, counts = progress.impact(), _chunk_counts(made, totals, waiting)
    return SyncReport(
        collection=settings.collection,
        tenant=survey.rules.tenant,
        generation=generation.number if generation else None,
        published=bool(made and made.generation),
        files=_file_counts(survey, made.intake.documents if made else 0, letters),
        chunks=counts,
        duplicates=_duplicate_counts(made, totals, toolkit, progress),
        stages=progress.costs,
        joules=impact.joules,
        impact=impact,
        sci=chunk_rate(impact, counts.added + counts.changed),
        failures=_failed(letters),
        skipped=_skipped(survey, letters),
        notes=tuple(dict.fromkeys((*_notes(survey, toolkit), *(made.notes if made else ())))),
    )


def _file_counts(survey: _Survey, indexed: int, letters: tuple[DeadLetter, ...]) -> FileCounts:
    plan = survey.plan
    failed = len(_failed(letters))
    return FileCounts(
        indexed=indexed,
        unchanged=plan.unchanged,
        skipped=len(letters) - failed + len(survey.scan.skipped),
        failed=failed,
        removed=len(plan.removed),
        missing=len(plan.missing),
    )


def _chunk_counts(made: Made | None, totals: ManifestTotals, waiting: int) -> ChunkCounts:
    if made is None:
        return ChunkCounts(stored=totals.chunks, tokens=totals.tokens, waiting=waiting)
    changes = made.changes
    return ChunkCounts(
        added=len(changes.upserted) - len(changes.replaced),
        changed=len(changes.replaced),
        removed=len(changes.deleted),
        embedded=made.embedding.embedded,
        cached=made.embedding.cached,
        stored=totals.chunks,
        tokens=totals.tokens,
        waiting=waiting,
    )


def _duplicate_counts(
    made: Made | None, totals: ManifestTotals, toolkit: Toolkit, progress: Progress
) -> DuplicateCounts:
    dropped = toolkit.settings.drop_near_duplicates
    exact = totals.occurrences - totals.chunks - totals.dropped
    embedding = made.embedding if made else None
    saved = None
    if embedding and embedding.embedded:
        mean = embedding.cpu_seconds / embedding.embedded
        saved = progress.joules_of(mean * (exact + totals.dropped))
    return DuplicateCounts(
        exact=exact,
        exact_tokens=totals.duplicate_tokens,
        near=totals.near_duplicates,
        near_tokens=totals.near_duplicate_tokens,
        near_dropped=dropped,
        saved_joules=saved,
    )


def _failed(letters: tuple[DeadLetter, ...] | list[DeadLetter]) -> tuple[DeadLetter, ...]:
    return tuple(letter for letter in letters if letter.status == "failed")


def _skipped(survey: _Survey, letters: tuple[DeadLetter, ...]) -> dict[str, int]:
    reasons = Counter(item.reason for item in survey.scan.skipped)
    reasons.update(
        letter.cause.partition(":")[0] for letter in letters if letter.status == "skipped"
    )
    return dict(reasons)


def _notes(survey: _Survey, toolkit: Toolkit) -> tuple[str, ...]:
    plan, notes = survey.plan, list(survey.scan.notes)
    again = plan.count("settings")
    if again:
        notes.append(f"{again:,} files are cut again: tokenizer, chunk_tokens or loaders changed")
    if plan.relabelled:
        notes.append(f"{len(plan.relabelled):,} documents have other labels now")
    carried = plan.access.by_path.keys() - survey.rules.access.by_path.keys()
    notes += [
        f"labels stay with what was moved, --access sets others: {p}" for p in sorted(carried)
    ]
    if plan.moved:
        notes.append(f"{len(plan.moved):,} files keep their ids: they were moved")
    change = shape_change(survey.current, toolkit)
    if change:
        notes.append(change)
    elif survey.current and awaits_vectors(survey.current, toolkit):
        notes.append(f"{survey.current.unembedded:,} chunks get the vectors they waited for")
    return tuple(notes)
