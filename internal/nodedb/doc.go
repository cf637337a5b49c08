// Package nodedb keeps who this node is: data/node.db, a bbolt file with one record and few documents.
//
// The nouns:
//
//   - Identity: the ids of the cluster, the node and its disk, and the process number.
//   - founded: the mark that the node has begun its log. A founded node without a log has lost it, and must not
//     begin another: it would forget what it has acknowledged.
//   - documents: what the caller wants to be kept as durably as the ids, each under a name. What is in them is
//     the caller's; they are kept in pieces, because no page of the file may overflow.
//   - DB: the open file. While it is open no other process gets past Open for the same data directory.
//
// A data directory without node.db is a new node: Open draws new ids, and a wiped disk so never comes back
// under an old one. Each Open raises the process number and makes that durable before it returns, so no two
// runs of a node share one.
//
// The file is created under a temporary name, synced, and linked to its own: it is absent or complete, and of
// two processes that start at once in an empty directory both end up with the same file, which one of them
// then locks. Directories that are made for it are durable, each before the next.
//
// Caveats: bbolt has no page checksums, so the record carries its own. A lost node.db beside a log or
// checkpoints that are still there is refused, as new ids on an old log would break the promise that ids are
// never reused.
package nodedb
