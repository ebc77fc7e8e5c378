// Makes src/api/grpc/descriptors.ts from the descriptors in etcd's and gRPC's Go modules: `go run .` in this folder. Options
// and comments are left out, and so are the files that only options need.
package main

import (
	"encoding/base64"
	"os"
	"path"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc/health/grpc_health_v1"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	v1a "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

const columns = 118

const head = "// The descriptors of etcd 3.7.1's services and messages, of its lock and election, of gRPC's health and " +
	"reflection: a\n// FileDescriptorSet without options and comments, as base64. `go run .` in " +
	"test/api/grpc/descriptors makes this file.\n\nexport const descriptorSet = `"

func main() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := 0; i < f.Imports().Len(); i++ {
			add(f.Imports().Get(i).FileDescriptor)
		}
		if skip(f.Path()) || f.IsPlaceholder() {
			return
		}
		d := protodesc.ToFileDescriptorProto(f)
		strip(d)
		set.File = append(set.File, d)
	}
	add(mvccpb.File_kv_proto)
	add(authpb.File_auth_proto)
	add(etcdserverpb.File_rpc_proto)
	add(v3lockpb.File_v3lock_proto)
	add(v3electionpb.File_v3election_proto)
	add(grpc_health_v1.File_grpc_health_v1_health_proto)
	add(v1.File_grpc_reflection_v1_reflection_proto)
	add(v1a.File_grpc_reflection_v1alpha_reflection_proto)
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		panic(err)
	}
	text := base64.StdEncoding.EncodeToString(bytes)
	lines := []string{head}
	for len(text) > columns {
		lines = append(lines, text[:columns])
		text = text[columns:]
	}
	lines = append(lines, text, "`;", "")
	if err := os.WriteFile("../../../../src/api/grpc/descriptors.ts", []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		panic(err)
	}
}

func skip(file string) bool {
	return file == "etcd/api/versionpb/version.proto" || file == "etcd/api/etcdserverpb/rpc.proto" ||
		strings.HasPrefix(file, "google/") || strings.HasPrefix(file, "protoc-gen-openapiv2/")
}

func strip(d *descriptorpb.FileDescriptorProto) {
	d.Options = nil
	d.SourceCodeInfo = nil
	deps := []string{}
	for _, each := range d.Dependency {
		// Go's generated code registers etcd's files under their names alone.
		if strings.HasPrefix(each, "etcd/api/") && !skip(each) || each == "etcd/api/etcdserverpb/rpc.proto" {
			each = path.Base(each)
		}
		if !skip(each) {
			deps = append(deps, each)
		}
	}
	d.Dependency = deps
	d.PublicDependency, d.WeakDependency = nil, nil
	for _, each := range d.MessageType {
		stripMessage(each)
	}
	for _, each := range d.EnumType {
		stripEnum(each)
	}
	for _, each := range d.Service {
		each.Options = nil
		for _, method := range each.Method {
			method.Options = nil
		}
	}
}

func stripMessage(m *descriptorpb.DescriptorProto) {
	m.Options = nil
	for _, each := range m.Field {
		each.Options = nil
	}
	for _, each := range m.OneofDecl {
		each.Options = nil
	}
	for _, each := range m.NestedType {
		stripMessage(each)
	}
	for _, each := range m.EnumType {
		stripEnum(each)
	}
}

func stripEnum(e *descriptorpb.EnumDescriptorProto) {
	e.Options = nil
	for _, each := range e.Value {
		each.Options = nil
	}
}
