// A timestamp authority (RFC 3161) on 127.0.0.1, at the port in its only argument: Sigstore's own, with a key that it
// makes at the start. Its own program counts its calls on port 2112 of every address, and nothing can be set about that.
package main

import (
	"os"
	"strconv"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/log"
	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

const patience = 30 * time.Second

func main() {
	log.ConfigureLogger("dev")
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Logger.Fatal(err)
	}
	// The defaults of its own program.
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", "1.3.6.1.4.1.57264.2")
	viper.Set("accepted-policy-oids", []string{"1.3.6.1.4.1.57264.2"})
	viper.Set("max-request-body-size", 1<<20)
	log.Logger.Fatal(server.NewRestAPIServer("127.0.0.1", port, []string{"http"}, false, patience, patience).Serve())
}
