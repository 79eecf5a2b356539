"""Finds telephone numbers of all countries in a text, and leaves ordinary numbers alone.

A number with a plus, with 00 or with the 0 that most countries begin a number with is known by its
shape. One without is looked up (`phonenumbers`): some country must write its numbers so.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

MIN_DIGITS, MAX_DIGITS = 7, 15
_MAX_ABROAD = 3  # of digits that lead out of a country
_MAX_PARTS = 8

# A run of digits with what parts them. It begins where no other number goes on, and one run is read
# once: the time is linear in the text.
_RUN = re.compile(
    r"(?<![0-9A-Za-z_])(?<![0-9][.,:/-])(?<![$€£¥₹₽₩฿₫₴₦#№])(?<![$€£¥₹₽₩฿₫₴₦#№] )"
    r"[+(]{0,2}[0-9](?:[ .()/-]{0,3}[0-9])*"
)
_PART = re.compile(r"[^\s/]*[0-9][^\s/]*")
_GOES_ON = re.compile(r"[0-9A-Za-z_]|[,:][0-9]")
_AMOUNT = re.compile(
    r"\s?(?:[$€£¥₹₽₩฿₫₴₦%]|(?:eur|usd|gbp|inr|dollars?|euros?|pounds?|rupees?|yen|bytes|views|people"
    r"|users|followers|times|steps|votes|rows|records|tokens|parameters|years|ms|km|kg)\b)",
    re.IGNORECASE,
)
_NORTH_AMERICAN = re.compile(
    r"(?:1[ .-]?)?(?:\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"  # 555-010-4477
    r"|[0-9]{3}-[0-9]{4}"  # 010-4477
)
_ABROAD = re.compile(r"(?:00|011)(?=[1-9])")
_CALLED = re.compile(  # what says that a number is one to call
    r"(?:(?<![^\W_])(?:tel|telephone|phone|mobile|cell|call|whatsapp|viber|sms|handy|telefono?"
    r"|telefon|teléfono|telefone|téléphone|portable|tlf|móvil|movil|celular|cellulare|mobil|fax|hotline"
    r"|n[uú]mero|numéro|numer|nummer(?:et)?"
    r"|тел|телефон|номер|звони|моб)"
    r"|电话|電話|手机|手機|号码|携帯|番号|전화|연락처|โทร|เบอร์|هاتف|جوال|موبايل|تلفن|फोन|मोबाइल"
    r"|wa\.me/|phone=|tel=|mobile=|number=|my number is)"
    r"[^\w\n]{0,4}(?:(?:no|nr|num|number|me|us|on|at|is|my|est|ist|es|é|to|er|mitt)[^\w\n]{1,3}){0,3}\Z",
    re.IGNORECASE,
)
_COUNTED = re.compile(  # what says that a number is one of something else
    r"(?:(?<![^\W_])(?:order|invoice|customer|ticket|case|ref|reference|tracking|serial|article|item"
    r"|model|part|policy|claim|member|account|postcode|zip|postal|kunden|bestell|rechnungs?|auftrags?"
    r"|vorgangs?|artikel|sendungs?|konto|vertrags?|mitglieds?|plz|postleitzahl|commande|facture|client"
    r"|dossier|colis|pedido|factura|cliente|expediente|cep|ordine|fattura|pratica|codice|zamówienia"
    r"|faktury|klienta|заказ\w{0,3}|договор\w{0,3}|индекс|sipariş|fatura|müşteri|bestelling|factuur"
    r"|klant|ordre|kund|faktura)"
    r"|订单|訂單|发票|單號|单号|邮编|郵遞區號|郵便|〒|注文|伝票|請求書|주문|송장|우편)"
    r"(?:[ .-]?(?:code|number|no|nr|num|id|nummer|numéro|número|numero|numer|numarası|номер))?"  # noqa: RUF001
    r"(?:号|號|番号|编号|번호)?[^\w+]{0,4}\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[A-Za-z]-\Z")  # it is the end of a name
_COMPUTED = re.compile(r"[=*/^<>~\u2248]\s?\Z")
_NEAR = 40

# What is no telephone number though it is made of digits: dates and times, and numbers in links,
# but for links that call.
_ORDINARY = re.compile(
    r"""(?<![0-9.+/-])(?:
      [12][0-9]{3}(?P<a>[-/.])[01]?[0-9](?P=a)[0-3]?[0-9]
    | [0-3]?[0-9](?P<b>[-/.])[0-3]?[0-9](?P=b)(?:[12][0-9]{3}|[0-9]{2})
    )(?![0-9]|[-/.][0-9])(?:[T ,]{1,2}[0-2]?[0-9][:.][0-5][0-9](?:[:.][0-5][0-9])?(?![0-9]))?
    | (?<![0-9A-Za-z+-])[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?(?:[.,][0-9]{1,9})?(?![0-9])
    | \b(?:isbn|issn|doi|isin|ean|upc)\b[^\n0-9]{0,6}[0-9][0-9xX./-]*(?:\ [0-9xX]+){0,5}
    | (?<![A-Za-z])(?:https?://|ftp://|www\.)[^\s<>"]*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CALLING_LINK = re.compile(
    r"wa\.me|whatsapp|(?:phone|tel|mobile|number)=|/\+[0-9]|%2b[0-9]", re.IGNORECASE
)


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Return where numbers are, in order, from and to.

    Args:
        text: One with ASCII digits.

    Examples:
        >>> from lorecall.data.phones import phones
        >>> text = "on 2018-05-02 call 06 12 34 56 78, it is 1 200 000 or 2018-2019"
        >>> [text[start:end] for start, end in phones(text)]
        ['06 12 34 56 78']
    """
    if any(map(_is_long, _RUN.finditer(text))):  # in few texts is there any
        text = _ORDINARY.sub(_hidden, text)
        for run in filter(_is_long, _RUN.finditer(text)):
            yield from _within(text, run)


def _is_long(run: re.Match[str]) -> bool:
    return len(run[0]) >= MIN_DIGITS and sum(map(str.isdigit, run[0])) >= MIN_DIGITS


def _hidden(found: re.Match[str]) -> str:
    return found[0] if _CALLING_LINK.search(found[0]) else "]" * len(found[0])


def _within(text: str, run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Return the numbers of one run of digits: of its parts as many together as make one."""
    parts = [part.span() for part in _PART.finditer(text, *run.span())]
    if run[0][0].isdigit() and _by_thousands(re.findall(r"[0-9]+", run[0])):
        return  # nor is a part of it a number
    n_digits = [sum(map(str.isdigit, text[start:end])) for start, end in parts]
    first = 0
    while first < len(parts):
        start = parts[first][0]
        called = _CALLED.search(text, max(0, start - _NEAR), start) is not None
        for last in range(min(len(parts), first + _MAX_PARTS) - 1, first - 1, -1):
            end = parts[last][1]
            if not MIN_DIGITS <= sum(n_digits[first : last + 1]) <= MAX_DIGITS + _MAX_ABROAD:
                continue
            if text[start] == "(" and ")" not in text[start:end]:
                start += 1  # what it opens is no part of the number
            alone = _parts_numbers(text, parts, first) and _parts_numbers(text, parts, last + 1)
            if not _GOES_ON.match(text, end) and _is_phone(
                text, start, end, alone=alone, called=called
            ):
                if text[start] in "+(" or not _is_of_another(text, start, called=called):
                    yield start, end
                first = last
                break
        first += 1


def _is_of_another(text: str, start: int, *, called: bool) -> bool:
    """Whether what stands before a number says that it is one of an order, a customer, a place."""
    if not called and _NAMED.search(text, max(0, start - 2), start):
        return True
    return _COUNTED.search(text, max(0, start - _NEAR), start) is not None


def _parts_numbers(text: str, parts: list[tuple[int, int]], at: int) -> bool:
    """Whether what stands before a part is more than a blank: a new number begins."""
    return at in (0, len(parts)) or "/" in text[parts[at - 1][1] : parts[at][0]]


def _is_phone(text: str, start: int, end: int, *, alone: bool, called: bool) -> bool:
    number = text[start:end]
    groups = re.findall(r"[0-9]+", number)
    digits = "".join(groups)
    n = len(digits)
    if number.startswith(("+", "(+")):
        fits = n <= MAX_DIGITS and digits[0] != "0"
        return fits and (len(groups) > 1 or _is_dialled(digits))
    if (abroad := _ABROAD.match(digits)) and (len(groups) > 1 or abroad[0] == "00"):
        return MIN_DIGITS <= n - len(abroad[0]) <= MAX_DIGITS
    if _NORTH_AMERICAN.fullmatch(number):
        return True
    if n > MAX_DIGITS or _AMOUNT.match(text, end) or _is_count(number, groups):
        return False
    from_inside = digits[0] == "0" != digits[1] and 9 <= n <= 11  # noqa: PLR2004 - as long as such numbers are
    if from_inside or called or len(groups) > 1:
        return from_inside or called or (alone and _is_grouped(number, n))
    return not _COMPUTED.search(text, max(0, start - 2), start) and _is_bare(digits)


def _is_grouped(number: str, n: int) -> bool:
    return n >= 8 and "/" not in number and _is_national(number)  # noqa: PLR2004 - the shortest


def _is_bare(digits: str) -> bool:
    """Whether digits alone are a number; a moment in seconds or milliseconds looks like one."""
    if len(digits) <= 10:  # noqa: PLR2004 - without a country's code
        return len(digits) == 10 and digits[0] != "1"  # noqa: PLR2004
    if re.fullmatch(r"1[0-9]{12}", digits):
        return False
    return _is_dialled(digits, valid=True) or _is_national(digits)


def _is_count(number: str, groups: list[str]) -> bool:
    """Whether digits are an amount, a range, a postal code or a list, by how they are parted."""
    if _by_thousands(groups) or set("".join(groups)) <= {"0", "1"}:
        return True
    if len(groups) == 1:
        return number.endswith("00000")
    if re.fullmatch(r"(?:19|20)[0-9]{2}[-/]0[0-9]+", number):
        return True  # one of many of a year
    if list(map(len, groups)) == [4, 4]:
        low, high = map(int, groups)
        years = all(1000 <= each < 2200 for each in (low, high))  # noqa: PLR2004
        return years or (low < high and low % 10 == high % 10 == 0)
    zip_code = list(map(len, groups)) == [5, 4] and "-" in number
    decimal = re.fullmatch(r"(?!0[1-9])[0-9]{1,7}\.[0-9]+|0\.[0-9].*", number) is not None
    one_by_one = max(map(len, groups)) == 1
    return zip_code or decimal or one_by_one


def _by_thousands(groups: list[str]) -> bool:
    first, *later = groups
    threes = {len(group) for group in later} == {3} and first[0] != "0"
    return threes and (len(first) < 3 or (len(first) == 3 and later[-1] == "000"))  # noqa: PLR2004


@lru_cache(maxsize=4096)
def _is_dialled(digits: str, *, valid: bool = False) -> bool:
    """Whether digits that begin with a country's code may be a number there, or are a valid one."""
    import phonenumbers  # noqa: PLC0415 - slow to import

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    return (phonenumbers.is_valid_number if valid else phonenumbers.is_possible_number)(number)


@lru_cache(maxsize=4096)
def _is_national(number: str) -> bool:
    """Whether some country's numbers are written so, without a code before."""
    import phonenumbers  # noqa: PLC0415 - slow to import

    digits = re.sub(r"[^0-9]", "", number)
    leniency = phonenumbers.Leniency.STRICT_GROUPING
    for region, fits, prefix in _regions():
        bare = digits.removeprefix(prefix)
        if fits.fullmatch(digits) or (bare != digits and fits.fullmatch(bare)):
            matcher = phonenumbers.PhoneNumberMatcher(number, region, leniency=leniency)
            if any(match.raw_string == number for match in matcher):
                return True
    return False


@cache
def _regions() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Return each country with the pattern of its numbers and what stands before them inside it."""
    import phonenumbers  # noqa: PLC0415

    found: list[tuple[str, re.Pattern[str], str]] = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        known: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
        pattern = re.compile(known.general_desc.national_number_pattern)
        found.append((region, pattern, known.national_prefix or ""))
    return tuple(found)
