// Package vfs is the file system as the durable parts of the system see it.
//
// Its nouns: FS and File are what callers use; OS is the machine's file system; Mem is one in memory that
// can lose power, run full, fail and rot; Op is one operation as a fault hook or a trace sees it; Hooked puts a hook
// before those of any file system.
//
// A crash of Mem is meaner than most disks, so that nothing is relied on that no standard promises: every
// write since the last Sync of its file is kept, dropped or kept in part, sector by sector; every creation,
// rename and removal since the last SyncDir of its directory may or may not have happened, each on its own.
// A sector of 512 bytes is written whole or not at all.
//
// Caveats: Mem gives the space of a removed file back at once, also while it is open. OS knows Unix only.
package vfs
