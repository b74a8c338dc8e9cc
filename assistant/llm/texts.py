"""How a built model reads and writes: its tokenizer and its chat template."""

from __future__ import annotations

from tokenizers import Tokenizer

from assistant.errors import ModelError
from assistant.llm.architecture import Family
from assistant.llm.chat import ChatTemplate
from assistant.llm.directory import TEMPLATE, TOKENIZER, ModelDirectory

_REMEDY = "build it anew with: assistant models build"


def read_tokenizer(directory: ModelDirectory) -> Tokenizer:
    """The model's tokenizer. Raises ModelError where its file is damaged."""
    path = directory.folder / TOKENIZER
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no more specific one
        raise ModelError(f"{path} can't be read: {error}; {_REMEDY}") from error


def read_template(directory: ModelDirectory, tokenizer: Tokenizer) -> ChatTemplate:
    """The model's chat template. Raises ModelError where it can't be used."""
    path = directory.folder / TEMPLATE
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} can't be read: {error}; {_REMEDY}") from error
    ends = [directory.bos, directory.eos[0]]
    bos, eos = ("" if end is None else tokenizer.id_to_token(end) or "" for end in ends)
    # MiMo was trained to think before it answers, whether its template says so or not.
    thinks = True if directory.architecture.family is Family.MIMO else None
    try:
        template = ChatTemplate(source, bos=bos, eos=eos, thinks=thinks)
        template.check()
    except ModelError as error:
        raise ModelError(f"{path}: {error}; build another version of the model") from error
    return template
