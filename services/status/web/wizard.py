"""*Generazione massiva Pagamenti*: the three screens (S12 to S14) as one form, sent in one go.

Without a script all three show; with one they come one by one. What was wrong comes back next to its field, and the
spreadsheet that was sent is not asked for again.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import Response

from services.status.api.asking import BatchAsk, ask_for_batch, keep_sheet, options_of, sheet_problem
from services.status.api.context import Context, Here
from services.status.api.problems import ApiProblem
from services.status.api.queries import batch_row
from services.status.tables import BatchRow
from services.status.web.format import day, parsed_day
from services.status.web.render import go, show
from shared.contracts.record import DocumentRef
from shared.documents import XLSX, DocumentCorrupt, DocumentMissing

router = APIRouter()

URL = "/utility/generazione-massiva"
FIELDS = ("channel", "reason", "letter", "subject", "classification", "office", "dossier", "document_type")
TEXT_OF = {"string_too_long": "Testo troppo lungo: al massimo {max_length} caratteri.", "enum": "Scegliere una voce."}


class WizardForm(BaseModel):
    """The form as a browser sends it. `payment` is `<creditor>/<payment type>`; `sheet_*` name a spreadsheet that came
    with an earlier try."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    csrf_token: str = ""
    key: str = ""
    batch_id: str = ""
    payment: str = ""
    channel: str = ""
    registration: str = ""
    subject: str = ""
    classification: str = ""
    office: str = ""
    dossier: str = ""
    document_type: str = ""
    due_date: str = ""
    reason: str = ""
    letter: str = ""
    merged: str = ""
    sheet_sha256: str = ""
    sheet_size: str = ""
    file_name: str = ""
    file: UploadFile | None = None


@router.get(URL)
def wizard(request: Request, context: Here, invio: UUID | None = None) -> Response:
    """An empty form; or, with `invio`, that batch's, to be sent again with a corrected spreadsheet."""
    if invio is None:
        return _shown(request, context, _first_values(context))
    with context.database.read() as session:
        return _shown(request, context, _values_of(batch_row(session, invio)))


@router.post(URL)
def ask(request: Request, context: Here, form: Annotated[WizardForm, Form()]) -> Response:
    """*Visualizza anteprima*: check the form, keep the spreadsheet, ask for the batch."""
    context.csrf.check(request, form.csrf_token)
    errors: dict[str, str] = {}
    sheet, name = _sheet(context, form, errors)
    wanted = _ask(context, form, errors)
    if errors or sheet is None or wanted is None:
        values = form.model_dump(exclude={"file", "csrf_token", "key"})
        values |= {"sheet_sha256": sheet.sha256, "sheet_size": sheet.size, "file_name": name} if sheet else {}
        return _shown(request, context, values, errors)
    kept = ask_for_batch(context, wanted, sheet, name, form.key)
    return go(f"/invii/{kept.batch_id}/anteprima")


@router.get("/tracciato")
def empty_format(context: Here) -> Response:
    """The empty spreadsheet (S4)."""
    headers = {"content-disposition": 'attachment; filename="TracciatoInvioMassivo.xlsx"'}
    return Response(context.template_xlsx(), media_type=XLSX, headers=headers)


def _sheet(context: Context, form: WizardForm, errors: dict[str, str]) -> tuple[DocumentRef | None, str]:
    if form.file is not None and form.file.filename:
        try:
            content = form.file.file.read(context.settings.upload_limit_bytes + 1)
            return keep_sheet(context, content), form.file.filename
        except ApiProblem as problem:
            errors["file"] = problem.problem.detail
            return None, ""
    try:
        ref = DocumentRef(sha256=form.sheet_sha256, media_type=XLSX, size=int(form.sheet_size or "0"))
        context.documents.get(ref)
    except (ValueError, DocumentMissing, DocumentCorrupt):
        errors["file"] = sheet_problem("missing", "Scegliere il foglio Excel con i destinatari.").problem.detail
        return None, ""
    return ref, form.file_name


def _ask(context: Context, form: WizardForm, errors: dict[str, str]) -> BatchAsk | None:
    creditor, _, kind = form.payment.partition("/")
    due = parsed_day(form.due_date)
    if due is None:
        errors["due_date"] = "Scrivere la scadenza come gg/mm/aaaa, per esempio 31/01/2027."
    if not kind:
        errors["payment"] = "Scegliere la tipologia di pagamento."
    if form.registration not in ("si", "no"):
        errors["registration"] = "Dire se gli avvisi vanno protocollati."
    values: dict[str, Any] = {name: getattr(form, name).strip() for name in FIELDS}
    values |= {"creditor": creditor, "payment_type": kind, "registration": form.registration == "si"}
    values["merged"] = form.merged == "si"
    try:
        wanted = BatchAsk.model_validate(values | {"due_date": due or "9999-12-31", "batch_id": form.batch_id or None})
        options_of(wanted, context.creditors)
    except ValidationError as wrong:
        for error in wrong.errors():
            text = TEXT_OF.get(error["type"], "Valore non valido.")
            errors.setdefault(str(error["loc"][0]), text.format(**error.get("ctx", {})))
        return None
    except ApiProblem as problem:
        for found in problem.problem.errors:
            field = "payment" if found.field in ("creditor", "payment_type") else found.field
            errors.setdefault(field, found.detail)
        return None
    return wanted


def _shown(
    request: Request, context: Context, values: dict[str, Any], errors: dict[str, str] | None = None
) -> Response:
    status = 422 if errors else 200
    limit = context.settings.upload_limit_bytes // (1024 * 1024)
    creditors = context.creditors.creditors
    return show(
        request, context, "wizard.html", status, creditors=creditors, values=values, errors=errors or {}, limit_mb=limit
    )


def _first_values(context: Context) -> dict[str, Any]:
    """The only payment type, or the first, with its own texts; PEC, and no registration chosen for anybody."""
    code, creditor = next(iter(context.creditors.creditors.items()))
    name, kind = next(iter(creditor.payment_types.items()))
    values = WizardForm(
        payment=f"{code}/{name}", channel="pec", reason=kind.reason, subject=kind.subject, office=kind.office,
        classification=kind.classification, letter=next(iter(kind.letters), ""),
    )  # fmt: skip
    return values.model_dump(exclude={"file"})


def _values_of(batch: BatchRow) -> dict[str, Any]:
    options = batch.options or {}
    registration = options.get("register_options") or {}
    values = WizardForm(
        batch_id=str(batch.id), payment=f"{batch.creditor}/{batch.payment_type}", channel=options.get("channel", ""),
        registration="si" if registration else "no", due_date=day(options.get("due_date")),
        reason=options.get("reason", ""), letter=options.get("letter") or "",
        merged="si" if options.get("merged") else "",
        **{name: registration.get(name, "") for name in ("subject", "classification", "office", "dossier", "document_type")},
    )  # fmt: skip
    return values.model_dump(exclude={"file"})
