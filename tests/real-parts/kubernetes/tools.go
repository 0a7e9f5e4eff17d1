//go:build tools

// Package parts names the programs that are built here, so that go.mod holds all that they need.
package parts

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
import _ "k8s.io/kubernetes/cmd/kube-controller-manager"
import _ "k8s.io/kubernetes/cmd/kubectl"
