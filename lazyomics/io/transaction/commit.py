"""The steps that turn caught changes into the file's new state."""

from __future__ import annotations

import os
from contextlib import suppress

from lazyomics.errors import StaleFileError
from lazyomics.io.transaction import disk
from lazyomics.io.transaction.attributes import attributes_of, give_permissions
from lazyomics.io.transaction.copying import replace_by_copy
from lazyomics.io.transaction.journal import Journal, checksum_of_range, write_journal
from lazyomics.io.transaction.locks import lock_exclusive, lock_shared
from lazyomics.io.transaction.names import Names
from lazyomics.io.transaction.obstacles import create_beside, open_beside, refuse_others
from lazyomics.io.transaction.overlay import Overlay
from lazyomics.io.transaction.recovery import apply
from lazyomics.io.transaction.stamps import Stamp, stamp_of

__all__ = ["Commit"]


class Commit:
    """``prepare``, ``try_to_begin`` until it works, ``decide``, ``put_in_place``.

    Where others keep the file open, ``put_in_copy`` instead of the last three. Before ``decide``
    or ``put_in_copy`` return, ``abandon`` leaves the old state; afterwards the save is done, and
    what is interrupted is finished when the file is opened next.

    Parameters
    ----------
    names, descriptor
        The file, opened for writing; a shared lock and the writer's lock are held.
    overlay
        The caught changes.
    stamp
        Time of the last change that the file shall carry afterwards.
    """

    def __init__(
        self, names: Names, descriptor: int, overlay: Overlay, stamp: Stamp = None
    ) -> None:
        self.names = names
        self.descriptor = descriptor
        self.overlay = overlay
        self.stamp = stamp
        self.is_empty = False
        self._made: list[str] = []
        self._gave_up_lock = False

    def prepare(self) -> None:
        """Put everything on the disk without changing what the file says."""
        overlay, end = self.overlay, self.overlay.size
        pages = overlay.pages
        overlay.tail.check()
        stamp = stamp_of(self.stamp)
        if end == overlay.old_end and all(pages.new(n) == pages.old(n) for n in pages.numbers()):
            self.is_empty = True
            if stamp is not None:
                disk.stamp(self.descriptor, stamp)
            return
        overlay.tail.write_out(end)
        if end > overlay.old_end:
            disk.sync(self.descriptor)
        tail = checksum_of_range(self.descriptor, overlay.old_end, end)
        part = create_beside(self.names.part, self.names.file)
        self._made.append(self.names.part)
        write_journal(part, overlay, end, tail, stamp)

    def try_to_begin(self) -> bool:
        """Keep everybody else out; False while somebody reads.

        Raises
        ------
        StaleFileError
            If another program changed or replaced the file in the meantime.
        """
        if self.overlay.error is not None:
            raise self.overlay.error
        if not lock_exclusive(self.descriptor):
            # The attempt gave up the shared lock. Who comes in now changes the time stamp.
            self._gave_up_lock = True
            lock_shared(self.descriptor)
            return False
        self._check()
        return True

    def put_in_copy(self) -> bool:
        """Put the save into a copy that takes the file's place; False while somebody writes.

        Raises
        ------
        NoRoomError
            If there is no room for a copy.
        StaleFileError
            If another program changed or replaced the file in the meantime.
        """
        if not lock_shared(self.descriptor):
            return False
        self._check()
        journal = Journal.read(self.names.part, self.names.file)
        try:
            replace_by_copy(journal, self.names, self.descriptor, apply, self._check)
        finally:
            journal.close()
        self.abandon()  # what was appended to the old file, and the journal
        return True

    def _check(self) -> None:
        if self.overlay.error is not None:
            raise self.overlay.error
        self.overlay.tail.check()
        if not self._is_there():
            raise StaleFileError(
                f"{self.names.file} was replaced by another program while it was saved; nothing "
                "was saved. Open it again"
            )

    def decide(self) -> None:
        """Give the journal its name: from here on the save counts as done."""
        part = open_beside(self.names.part, self.names.file)
        try:  # whoever may change the file may also finish its save
            give_permissions(attributes_of(self.descriptor), part)
        finally:
            os.close(part)
        refuse_others(self.names.journal, self.names.file)
        self._made.append(self.names.journal)
        disk.rename(self.names.part, self.names.journal)
        disk.sync_folder(self.names.journal)

    def put_in_place(self) -> None:
        """Bring the changes into the file.

        Raises
        ------
        OSError
            If that fails; the journal stays, and is applied when the file is opened next.
        """
        try:
            journal = Journal.read(self.names.journal, self.names.file)
            try:
                apply(journal, self.descriptor)
            finally:
                journal.close()
            disk.remove(self.names.journal)
            disk.sync_folder(self.names.journal)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{self.names.file} is saved, but not all of it is in the file yet "
                f"({error.strerror}): do not remove {self.names.journal}. It is put in place when "
                "the file is opened next",
            ) from error

    def abandon(self) -> None:
        """Leave the file as it was, and nothing beside it."""
        with suppress(OSError):
            for path in reversed(self._made):
                disk.remove(path)
            disk.sync_folder(self.names.journal)
        # Behind the old end another program may be writing, if it came in meanwhile.
        if not self._gave_up_lock or lock_shared(self.descriptor):
            with suppress(OSError):
                self.overlay.tail.abandon()

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.names.file), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False
