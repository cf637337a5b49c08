package primatomicv1_test

import (
	"fmt"
	"strings"
	"testing"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// published is what clients in the field were built with: "?" marks optional, "*" repeated. A row may
// get further fields; what stands here may never change.
var published = map[string]string{
	"Status":                  "code=1 int32, message=2 string",
	"CreateNamespaceRequest":  "namespace=1 string",
	"CreateNamespaceResponse": "namespace=1 string, status=2 Status",
	"GetKeyRequest":           "key=1 string, namespace=2 string",
	"GetKeyResponse":          "key=1 string, namespace=2 string, value=3 bytes, status=4 Status",
	"PutKeyRequest":           "key=1 string, namespace=2 string, value=3 bytes, ttl_ms=4 uint64?",
	"PutKeyResponse":          "key=1 string, status=2 Status",
	"DeleteKeyRequest":        "key=1 string, namespace=2 string",
	"DeleteKeyResponse":       "key=1 string, status=2 Status",
	"ListKeysRequest":         "prefix=1 string, namespace=2 string, limit=3 uint64?",
	"ListKeysResponse":        "keys=1 string*, status=2 Status",
	"CompareAndSwapRequest":   "key=1 string, namespace=2 string, expected=3 bytes, newValue=4 bytes",
	"CompareAndSwapResponse":  "key=1 string, namespace=2 string, swapped=3 bool, status=4 Status",
}

var publishedMethods = []string{
	"CreateNamespace", "GetKey", "PutKey", "DeleteKey", "ListKeys", "CompareAndSwap",
}

func TestPublishedFieldsStand(t *testing.T) {
	messages := primatomicv1.File_primatomic_v1_keyvalue_proto.Messages()
	for name, want := range published {
		message := messages.ByName(protoreflect.Name(name))
		if message == nil {
			t.Errorf("message %s is gone", name)
			continue
		}
		for _, field := range strings.Split(want, ", ") {
			fieldName, _, _ := strings.Cut(field, "=")
			got := "gone"
			if d := message.Fields().ByName(protoreflect.Name(fieldName)); d != nil {
				got = describe(d)
			}
			if got != field {
				t.Errorf("%s: %s is now: %s", name, field, got)
			}
		}
	}
}

func describe(d protoreflect.FieldDescriptor) string {
	kind := d.Kind().String()
	if d.Message() != nil {
		kind = string(d.Message().Name())
	}
	switch {
	case d.HasOptionalKeyword():
		kind += "?"
	case d.IsList():
		kind += "*"
	}
	return fmt.Sprintf("%s=%d %s", d.Name(), d.Number(), kind)
}

func TestPublishedMethodsStand(t *testing.T) {
	service := primatomicv1.File_primatomic_v1_keyvalue_proto.Services().ByName("KeyValue")
	if service == nil || service.FullName() != "primatomic.v1.KeyValue" {
		t.Fatalf("service is now %v", service)
	}
	for _, name := range publishedMethods {
		method := service.Methods().ByName(protoreflect.Name(name))
		if method == nil || method.Input().Name() != protoreflect.Name(name+"Request") ||
			method.Output().Name() != protoreflect.Name(name+"Response") ||
			method.IsStreamingClient() || method.IsStreamingServer() {
			t.Errorf("method %s is now %v", name, method)
		}
	}
}
