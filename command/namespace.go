package command

import (
	"errors"

	"github.com/primatomic/primatomic/engine"
)

func namespaceCommands() []*Spec {
	row := func(name, cost, summary string, args ...Arg) *Spec {
		return &Spec{
			Name: name, Family: Namespaces, Since: "0.1.0", Cost: cost, Summary: summary, Args: args,
			Flags: AnyNamespace | NoKeys,
		}
	}
	create := row("create", "O(log N) in namespaces",
		"Creates a namespace of the credential, or leaves one that exists as it is.", Str("name"))
	create.Write, create.Check, create.Flags = createNamespace, checkNamespace, create.Flags|DenyGrowth
	list := row("list", "O(N) in namespaces", "Lists the namespaces of the credential.")
	list.Read = listNamespaces
	info := row("info", "O(log N) in namespaces", "Describes a namespace.", Str("name"))
	info.Read, info.Check = infoNamespace, checkNamespace
	drop := row("drop", "O(log N) in namespaces",
		"Removes a namespace and all its keys.", Str("name"))
	drop.Write, drop.Check, drop.Flags = dropNamespace, checkDrop, drop.Flags|Dangerous
	for _, named := range []*Spec{create, info, drop} {
		named.Reaches = namesOne
	}
	return []*Spec{{
		Name: "namespace", Family: Namespaces, Since: "0.1.0",
		Summary: "Commands about the namespaces of a credential.",
		Sub:     []*Spec{create, list, info, drop, helpRow(Namespaces)},
	}}
}

var (
	errNamespaceName = &Error{Invalid, "invalid namespace name: it is 1 to 128 bytes of [A-Za-z0-9._:-]"}
	errNamespaceGone = &Error{NoNamespace, "the selected namespace does not exist any more"}
)

// noNamespace is the answer to a name that no namespace has.
func noNamespace(name string) *Error {
	return Errorf(NoNamespace, "no namespace is named %q: create it with NAMESPACE CREATE %s", name, name)
}

// checkNamespace refuses a name that no namespace can have.
func checkNamespace(c *Call) *Error {
	name := string(c.Arg(2))
	if _, isNumber := engine.Numbered(name); !isNumber && !engine.ValidName(name) {
		return errNamespaceName
	}
	return nil
}

func checkDrop(c *Call) *Error {
	if _, isNumber := engine.Numbered(string(c.Arg(2))); isNumber {
		return &Error{Invalid, "numbered databases cannot be dropped: empty it with FLUSHDB"}
	}
	return checkNamespace(c)
}

// namesOne is for rows whose argument is the name of a namespace.
func namesOne(c *Call) []string { return []string{string(c.Arg(2))} }

// createNamespace is NAMESPACE CREATE. Asking again with the same credential changes nothing.
func createNamespace(tx *engine.Tx, c *Call, r *Reply) {
	name := string(c.Arg(2))
	switch _, err := tx.CreateNamespace(c.Credential, name); {
	case err == nil:
		r.OK()
	case errors.Is(err, engine.ErrNameTaken):
		r.Error(Errorf(NamespaceTaken, "the namespace %q belongs to another credential", name))
	case errors.Is(err, engine.ErrTooMany):
		r.Error(Errorf(Quota, "a credential has at most %d namespaces: drop one first", engine.NamespacesMax))
	default:
		r.Error(Errorf(Invalid, "%v", err))
	}
}

// dropNamespace is NAMESPACE DROP.
func dropNamespace(tx *engine.Tx, c *Call, r *Reply) {
	name := string(c.Arg(2))
	info, err := owned(&tx.View, c, name)
	if err != nil {
		r.Error(err)
		return
	}
	if err := tx.DropNamespace(info.ID); err != nil {
		r.Error(Errorf(Internal, "%v", err))
		return
	}
	r.OK()
}

// owned finds a named namespace of the caller's credential.
func owned(v *engine.View, c *Call, name string) (engine.Info, *Error) {
	info, found := v.NamespaceByName(name)
	switch {
	case !found:
		return info, noNamespace(name)
	case info.Credential != c.Credential:
		return info, foreignNamespace(c.Credential, name)
	}
	return info, nil
}

func foreignNamespace(credential, name string) *Error {
	return Errorf(NoPerm, "User %s has no permissions to access the namespace %q: "+
		"it belongs to another credential", credential, name)
}

// listNamespaces is NAMESPACE LIST: the names that the caller's token covers.
func listNamespaces(v *engine.View, c *Call, r *Reply) {
	mark, n := r.BeginArray(), 0
	v.Namespaces(c.Credential, func(info engine.Info) bool {
		if c.Permits(info.Name) {
			r.BulkString(info.Name)
			n++
		}
		return true
	})
	r.EndArray(mark, n)
}

// infoNamespace is NAMESPACE INFO. A numbered database that was never written is empty.
func infoNamespace(v *engine.View, c *Call, r *Reply) {
	name := string(c.Arg(2))
	info := engine.Info{Name: name, Credential: c.Credential}
	if _, isNumber := engine.Numbered(name); isNumber {
		v.Namespaces(c.Credential, func(have engine.Info) bool {
			if have.Name == name {
				info = have
			}
			return have.Name != name
		})
	} else {
		var err *Error
		if info, err = owned(v, c, name); err != nil {
			r.Error(err)
			return
		}
	}
	r.Map(6)
	r.BulkString("name")
	r.BulkString(info.Name)
	r.BulkString("id")
	r.Int(int64(info.ID))
	r.BulkString("credential")
	r.BulkString(info.Credential)
	r.BulkString("keys")
	r.Int(int64(info.Keys))
	r.BulkString("bytes")
	r.Int(info.Bytes)
	r.BulkString("revision")
	r.Int(int64(info.Revision))
}
