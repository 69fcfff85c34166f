# What the transcripts do not show whole: the machine decides it, or it is long.
evalctl doctor --json
evalctl trust init --signed --json
evalctl key new ben --json
evalctl trust add ben.pub --role result --role reproduction --json
evalctl trust rule result --threshold 1 --add ben --json
evalctl trust renew --until 2099-01-01 --json
evalctl key new log --json
cp ../home/trust.toml pins.toml
evalctl trust rule lock --predicate https://w3id.org/evalctl-launcher/lock/v1 --trust pins.toml --json
evalctl trust ledger pins log.pub --for ben --witness example.org/witness+63ef247a+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c --trust pins.toml --json
evalctl trust sign --json
evalctl trust export --allowed-signers --json
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.pem -days 3 -subj /CN=tsa
(cat ../home/trust.toml; printf '\n[timestamps.tsa]\ncertificate = """\n'; cat tsa.pem; printf '"""\n') > timed.toml
evalctl key new witness --json
printf '[ledgers.lab]\norigin = "w3id.org/evalctl-launcher/ledger/x"\npublic = "%s"\n' "$(cat witness.pub)" >> timed.toml
evalctl trust show --trust timed.toml --json
evalctl init my-eval --json
evalctl pin my-eval/blueprint.toml --yes --json
sed -i 's/^threshold.*/threshold = { max = 0.99 }/' my-eval/blueprint.toml
printf '\n[bundle]\nredactable = true\n' >> my-eval/blueprint.toml
evalctl launch my-eval/blueprint.toml --out bundle --json
EVALCTL_HOME=../seen evalctl ledger verify ../home/ledger --json
evalctl plan my-eval/blueprint.toml --json
evalctl launch blueprints/digits-svm/blueprint.toml --out digits --json
evalctl sign bundle --key ben --out signed --json
evalctl attach bundle signed/* --json
evalctl sign bundle --key ben --json
evalctl reproduce bundle --key ben --json
evalctl reproduce bundle --json
evalctl verify bundle --json
evalctl show bundle --json
evalctl redact bundle --withhold predictions --json
evalctl list --json
evalctl status --json
evalctl report bundle --json
evalctl export in-toto bundle --json
evalctl export sshsig bundle --json
evalctl export verifier --json
evalctl ledger show --json
evalctl ledger prove bundle --json
evalctl ledger verify --json
evalctl ledger witness ../home/ledger --json
evalctl ledger add ../home/ledger/checkpoint --json
evalctl ledger since 1 --json
evalctl ledger since 2 --out since-2 --json
EVALCTL_HOME=../seen evalctl ledger verify since-2 --json
evalctl image load images/eval-python/layout --json
evalctl image inspect images/eval-python/layout --json
evalctl shell my-eval/blueprint.toml --json -- python3.11 -V
sed "s/^seed = .*/import time; print('so far', flush=True); time.sleep(60)/; s/tests.hello/tests\/slow/; s/^seeds.*/resumable = true/" blueprints/hello.toml > blueprints/slow.toml
set -m; evalctl launch blueprints/slow.toml > slow.txt 2>&1 & until evalctl status --json | grep '"running": 1'; do sleep 0.1; done 2> /dev/null; evalctl status --json
evalctl cancel tests/slow --json
evalctl logs "$(timeout 60 sh -c 'until grep ^/ slow.txt; do sleep 0.1; done')" --json
evalctl gc --dry-run --json
evalctl trust revoke ben --reason superseded --json
evalctl completion bash --json
evalctl metrics --json
