using System.CommandLine;
using SweepGammaAndRank;

Option<string> model = new("--model")
{
    Description = "A Hugging Face folder with a Llama or Mistral model.",
    DefaultValueFactory = _ => Settings.BundledModel,
};
Option<string?> train = new("--train")
{
    Description = "JSON lines with question and answer; by default arithmetic stories are generated.",
};
Option<int> trials = new("--trials") { Description = "Trials in all.", DefaultValueFactory = _ => 16 };
Option<int> rows = new("--rows") { Description = "Rows to train on.", DefaultValueFactory = _ => 1000 };
Option<int> validationRows = new("--validation-rows") { Description = "Rows that compare the trials.", DefaultValueFactory = _ => 100 };
Option<int> batch = new("--batch") { Description = "Rows per step.", DefaultValueFactory = _ => 16 };
Option<int> largestRank = new("--largest-rank") { Description = "The largest rank.", DefaultValueFactory = _ => 64 };
Option<string> tuner = new("--tuner") { Description = "tpe, random or grid.", DefaultValueFactory = _ => "tpe" };
Option<bool> noPruning = new("--no-pruning") { Description = "Train every trial to its end." };
Option<int?> atATime = new("--at-a-time") { Description = "Trials at a time; by default as many as --workers, or 2." };
Option<int> threads = new("--threads") { Description = "Threads of a trial.", DefaultValueFactory = _ => 1 };
Option<double?> minutes = new("--minutes") { Description = "After so many minutes no trial starts any more." };
Option<int?> workers = new("--workers")
{
    Description = "Worker processes to start on this machine; the trials run there, and the study is kept in PostgreSQL.",
};
Option<string?> postgres = new("--postgres")
{
    Description = $"The database of a study with workers, in Npgsql's words, without a password; by default what {Database.Variable} says; "
        + "without either, --workers starts a server of its own in the output folder.",
};
Option<string> study = new("--study") { Description = "The study's name in the database.", DefaultValueFactory = _ => "sweep" };
Option<int> dashboard = new("--dashboard")
{
    Description = "The port of Hangfire's dashboard, with workers; 0: a free one.",
    DefaultValueFactory = _ => 0,
};
Option<string> output = new("--out")
{
    Description = "The folder for study.db, best.zip and report.html; the same folder again goes on.",
    DefaultValueFactory = _ => "sweep-output",
};
tuner.AcceptOnlyFromAmong("tpe", "random", "grid");

workers.Validators.Add(result =>
{
    if (result.GetValueOrDefault<int?>() < 0)
    {
        result.AddError($"--workers is {result.GetValueOrDefault<int?>()}; it must be at least 0.");
    }
});

foreach (Option<int> count in new[] { trials, rows, validationRows, batch, largestRank, threads })
{
    count.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() < 1)
        {
            result.AddError($"{result.Option.Name} is {result.GetValueOrDefault<int>()}; it must be at least 1.");
        }
    });
}

RootCommand root = new("Looks for the γ, rank and learning rate of SORSA that train a model best, and saves that model and a report.")
{
    model, train, trials, rows, validationRows, batch, largestRank,
    tuner, noPruning, atATime, threads, minutes, workers, postgres, study, dashboard, output,
};
root.SetAction(arguments => Sweep.Run(new Settings
{
    Model = arguments.GetValue(model)!,
    Train = arguments.GetValue(train),
    Trials = arguments.GetValue(trials),
    Rows = arguments.GetValue(rows),
    ValidationRows = arguments.GetValue(validationRows),
    Batch = arguments.GetValue(batch),
    LargestRank = arguments.GetValue(largestRank),
    Tuner = arguments.GetValue(tuner)!,
    Pruning = !arguments.GetValue(noPruning),
    AtATime = arguments.GetValue(atATime) ?? Math.Max(arguments.GetValue(workers) ?? 2, 1),
    Threads = arguments.GetValue(threads),
    Minutes = arguments.GetValue(minutes),
    StartedWorkers = arguments.GetValue(workers),
    Postgres = arguments.GetValue(postgres),
    Study = arguments.GetValue(study)!,
    DashboardPort = arguments.GetValue(dashboard),
    Out = arguments.GetValue(output)!,
}));

Option<bool> withParent = new("--with-parent") { Description = "Ends when the process that started it does.", Hidden = true };
Option<string?> cache = new("--cache") { Description = "A folder of yours alone for decompositions; by default in your application data." };
Command worker = new("worker", "Runs trials of an experiment on this or another machine, until Ctrl+C.")
{
    postgres, model, cache, withParent,
};
worker.SetAction(arguments => Workers.Work(
    arguments.GetValue(postgres), arguments.GetValue(model)!, arguments.GetValue(cache), arguments.GetValue(withParent)));
root.Subcommands.Add(worker);

try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e)
    when (e is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
