"""Groups count by place: in their own log by index, in every other by whom they name today."""

from __future__ import annotations

from app.domain.labels import Label, Membership, Reader, ReaderClass, Tlp, can_read

DE, FR = "de.example/log", "fr.example/log"
FOR_DESK = Label(Tlp.AMBER, frozenset({"group:de.desk"}))


def _reader(*memberships: Membership) -> Reader:
    return Reader(ReaderClass.NODE, "fr.example", memberships=memberships)


def test_a_group_of_the_same_log_counts_for_its_stretch() -> None:
    """From the index after it was named to before it was not: what lies outside was not meant for it."""
    reader = _reader(Membership(DE, "group:de.desk", 5, 9))
    assert [can_read(FOR_DESK, reader.at(DE, index)) for index in (4, 5, 8, 9)] == [False, True, True, False]


def test_a_group_counts_in_other_logs_if_it_names_the_reader_without_a_break_until_today() -> None:
    """Another log has no index of ours: only who is named today reads there."""
    ended = _reader(Membership(DE, "group:de.desk", 5, 9))
    open_ended = _reader(Membership(DE, "group:de.desk", 5))
    for index in (0, 7, 100):
        assert not can_read(FOR_DESK, ended.at(FR, index))
        assert can_read(FOR_DESK, open_ended.at(FR, index))


def test_a_group_through_the_node_reaches_its_clients_in_other_logs_too() -> None:
    """AMBER reaches the clients of a recipient, wherever the statement was logged."""
    vasp = Reader(ReaderClass.VASP, "fr.exchange", memberships=(Membership(DE, "group:de.desk", 0, through_node=True),))
    assert can_read(FOR_DESK, vasp.at(FR, 3))
    assert not can_read(Label(Tlp.AMBER_STRICT, FOR_DESK.aud), vasp.at(FR, 3))
