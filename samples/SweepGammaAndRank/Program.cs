using System.CommandLine;
using SweepGammaAndRank;

Option<string> model = new("--model") { Description = "A Hugging Face folder with a Llama or Mistral model.", DefaultValueFactory = _ => Settings.BundledModel };
Option<string?> train = new("--train") { Description = "JSON lines with question and answer; by default arithmetic stories are generated." };
Option<int> trials = new("--trials") { Description = "Trials in all.", DefaultValueFactory = _ => 16 };
Option<int> rows = new("--rows") { Description = "Rows to train on.", DefaultValueFactory = _ => 1000 };
Option<int> validationRows = new("--validation-rows") { Description = "Rows that compare the trials.", DefaultValueFactory = _ => 100 };
Option<int> batch = new("--batch") { Description = "Rows per step.", DefaultValueFactory = _ => 16 };
Option<int> largestRank = new("--largest-rank") { Description = "The largest rank.", DefaultValueFactory = _ => 64 };
Option<string> tuner = new("--tuner") { Description = "tpe, random or grid.", DefaultValueFactory = _ => "tpe" };
Option<bool> noPruning = new("--no-pruning") { Description = "Train every trial to its end." };
Option<int> atATime = new("--at-a-time") { Description = "Trials at a time.", DefaultValueFactory = _ => 2 };
Option<double?> minutes = new("--minutes") { Description = "After so many minutes no trial starts any more." };
Option<string> output = new("--out") { Description = "The folder for study.db, best.zip and report.html; the same folder again goes on.", DefaultValueFactory = _ => "sweep-output" };
tuner.AcceptOnlyFromAmong("tpe", "random", "grid");

foreach (Option<int> count in new[] { trials, rows, validationRows, batch, largestRank, atATime })
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
    model, train, trials, rows, validationRows, batch, largestRank, tuner, noPruning, atATime, minutes, output,
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
    AtATime = arguments.GetValue(atATime),
    Minutes = arguments.GetValue(minutes),
    Out = arguments.GetValue(output)!,
}));

try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
