using System.CommandLine;
using System.CommandLine.Parsing;
using CompareMethods;

Option<string> model = new("--model")
{
    Description = "A Hugging Face folder with a Llama or Mistral model.",
    DefaultValueFactory = _ => Settings.BundledModel
};
Option<string> methods = new("--methods")
{
    Description = $"Some of them, apart by commas; by default all: {string.Join(", ", MethodVariant.All.Select(variant => variant.Key))}.",
    DefaultValueFactory = _ => string.Join(',', MethodVariant.All.Select(variant => variant.Key)),
};
Option<int> seeds = new("--seeds") { Description = "Runs per method in the table.", DefaultValueFactory = _ => 3 };
Option<int> steps = new("--steps") { Description = "Optimizer steps of a run.", DefaultValueFactory = _ => 40 };
Option<int> batch = new("--batch") { Description = "Rows per step.", DefaultValueFactory = _ => 16 };
Option<int> rank = new("--rank") { Description = "The rank of what trains.", DefaultValueFactory = _ => 8 };
Option<int> rows = new("--rows") { Description = "Rows to train on.", DefaultValueFactory = _ => 1000 };
Option<int> validationRows = new("--validation-rows")
{
    Description = "Rows that choose the learning rate.",
    DefaultValueFactory = _ => 100
};
Option<int> askedRows = new("--asked-rows") { Description = "Rows to ask.", DefaultValueFactory = _ => 200 };
Option<int> processes = new("--processes")
{
    Description = "Trainings at a time, each on one thread; large models want memory for each.",
    DefaultValueFactory = _ => 2
};
Option<string?> output = new("--out") { Description = "A folder for runs.jsonl, which holds every run." };

// A run of one step changes nothing: it is the warm-up's.
foreach ((Option<int> count, int least, int most) in new[]
{
    (seeds, 1, Statistics.MostValues), (steps, 2, int.MaxValue), (batch, 1, int.MaxValue), (rank, 1, int.MaxValue), (rows, 1, int.MaxValue),
    (validationRows, 1, TaskData.MostHeldOut), (askedRows, 1, TaskData.MostHeldOut), (processes, 1, 64),
})
{
    count.Validators.Add(result =>
    {
        int value = result.GetValueOrDefault<int>();
        if (value < least || value > most)
        {
            result.AddError(
                $"{result.Option.Name} is {value}; it must be {(most == int.MaxValue ? $"at least {least}" : $"from {least} to {most}")}.");
        }
    });
}

methods.Validators.Add(result =>
{
    string[] unknown = [.. Keys(result.GetValueOrDefault<string>()).Where(key => MethodVariant.Find(key) is null)];
    if (unknown.Length > 0 || Keys(result.GetValueOrDefault<string>()).Length == 0)
    {
        result.AddError(
            $"--methods has '{string.Join(", ", unknown)}', which is none; name some of " +
            $"{string.Join(", ", MethodVariant.All.Select(variant => variant.Key))}.");
    }
});

RootCommand root = new("Fine-tunes a model with every method on the same rows, and prints one table.")
{
    model, methods, seeds, steps, batch, rank, rows, validationRows, askedRows, processes, output,
};
root.SetAction(arguments => Comparison.Run(new Settings
{
    Model = arguments.GetValue(model)!,
    Methods = [.. MethodVariant.All.Where(variant => Keys(arguments.GetValue(methods)).Contains(variant.Key))],
    Seeds = arguments.GetValue(seeds),
    Steps = arguments.GetValue(steps),
    Batch = arguments.GetValue(batch),
    Rank = arguments.GetValue(rank),
    Rows = arguments.GetValue(rows),
    ValidationRows = arguments.GetValue(validationRows),
    AskedRows = arguments.GetValue(askedRows),
    Processes = arguments.GetValue(processes),
    Out = arguments.GetValue(output),
}));

Argument<string> request = new("request");
Command train = new("train", "One training, given and told in JSON: what each process of a comparison runs.") { request };
train.SetAction(arguments => TrainingProcess.Answer(arguments.GetValue(request)!));
root.Subcommands.Add(train);

try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (
    e is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

static string[] Keys(string? methods) => (methods ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
