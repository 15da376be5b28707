// A database that speaks MongoDB's wire protocol: FerretDB over SQLite. It replaces MongoDB in tests on machines that have
// no mongod. With MONGODB_PASSWORD it asks for the user `scorehouse`, whom it creates if the folder knows no user yet.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	data := flag.String("data", "data", "folder of the database")
	flag.Parse()
	if err := os.MkdirAll(*data, 0o700); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *data, os.Getenv("MONGODB_PASSWORD")); err != nil {
		log.Fatal(err)
	}
}

// serve answers until ctx is done; without a secret it asks nobody who they are.
func serve(ctx context.Context, listen, data, secret string) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	provider, err := state.NewProvider("")
	if err != nil {
		return err
	}
	if err := provider.Update(func(s *state.State) { s.DisableTelemetry(); s.TelemetryLocked = true }); err != nil {
		return err
	}
	metrics := connmetrics.NewListenerMetrics()
	options := &registry.NewHandlerOpts{
		Logger:        logger,
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: provider,
		TCPHost:       listen,
		SQLiteURL:     "file:" + data + "/",
		TestOpts:      registry.TestOpts{CappedCleanupPercentage: 10, BatchSize: 100, EnableNewAuth: secret != ""},
	}
	if secret != "" { // `admin` holds the users alone, so an older folder with predictions gets its user as well
		options.SetupDatabase = "admin"
		options.SetupUsername = "scorehouse"
		options.SetupPassword = password.WrapPassword(secret)
		options.SetupTimeout = 10 * time.Second
	}
	handler, closeBackend, err := registry.NewHandler("sqlite", options)
	if err != nil {
		return err
	}
	defer closeBackend()
	listener, err := clientconn.Listen(&clientconn.NewListenerOpts{
		TCP: listen, Mode: clientconn.NormalMode, Metrics: metrics, Handler: handler, Logger: logger,
	})
	if err != nil {
		return err
	}
	listener.Run(ctx)
	return nil
}
