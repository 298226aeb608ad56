// Gives back to the kernel what a start needed and the rest of a life does not.

import CLinux
import Glibc

/// Memory that a process has and does not need just now.
public enum SpareMemory {
    /// Lets all threads allocate from one heap, so that what one thread frees serves another. Called before there is a second thread; for
    /// programs whose threads allocate little at the same time.
    public static func useOneHeap() { mallopt(M_ARENA_MAX, 1) }

    /// Returns free pages of the heap, and lets go of the program's own code, which the kernel keeps in its cache of files: what runs again
    /// comes back page by page from there, at some microseconds for each piece. What ran only at the start does not.
    public static func giveBack() {
        malloc_trim(0)
        for segment in codeSegments() {
            madvise(UnsafeMutableRawPointer(bitPattern: segment.lowerBound), segment.count, MADV_DONTNEED)
        }
    }

    /// Where the program's code is in memory. A segment that may be written is not among them: what was written would be lost.
    static func codeSegments() -> [Range<UInt>] {
        let address = getauxval(UInt(AT_PHDR))
        guard let first = UnsafePointer<Elf64_Phdr>(bitPattern: address) else { return [] }
        let headers = UnsafeBufferPointer(start: first, count: Int(getauxval(UInt(AT_PHNUM))))
        // The header of the headers themselves says where the program was meant to be.
        guard let own = headers.first(where: { $0.p_type == UInt32(PT_PHDR) }) else { return [] }
        let base = address &- UInt(own.p_vaddr)
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        return headers.filter { $0.p_type == UInt32(PT_LOAD) && $0.p_flags & UInt32(PF_X) != 0 && $0.p_flags & UInt32(PF_W) == 0 }.map {
            let start = base &+ UInt($0.p_vaddr)
            // Whole pages: the last of them belongs to nobody else.
            return start / page * page..<(start + UInt($0.p_memsz) + page - 1) / page * page
        }
    }
}
