using System.CommandLine;
using CompareMethods;
using Microsoft.ML.Sorsa;
using ReproducePaper;

Option<string?> preset = new("--preset")
{
    Description = $"Where the numbers come from: {string.Join(", ", Presets.Names)}; by default {Presets.Bundled}, and {Presets.Files} "
        + "with --train.",
};
preset.AcceptOnlyFromAmong([.. Presets.Names]);
Option<string?> protocol = new("--protocol")
{
    Description = $"{Presets.Peft}: text, cut, order, loss and grader as in PEFT's method comparison.",
};
protocol.AcceptOnlyFromAmong(Presets.Peft);
Option<string?> model = new("--model") { Description = "A Hugging Face folder; by default the bundled model." };
Option<string?> train = new("--train") { Description = "JSON lines to train on; by default arithmetic stories are generated." };
Option<string?> promptColumn = new("--prompt-column") { Description = "In --train; by default query, as in MetaMathQA, or question." };
Option<string?> responseColumn = new("--response-column") { Description = "In --train; by default response, or answer." };
Option<string?> gsm8k = new("--gsm8k") { Description = "GSM-8K's test rows: JSON lines with question and answer." };
Option<string?> math = new("--math") { Description = "MATH's test rows: JSON lines with problem and solution." };
Option<string?> text = new("--text") { Description = "General text, to see what is forgotten: WikiText, for instance." };
Option<string?> choices = new("--choices") { Description = "Multiple-choice questions: JSON lines with question, choices, answer." };
Option<string?> methods = new("--methods")
{
    Description = $"Some of them, apart by commas; by default all: {string.Join(", ", StudyMethod.All.Select(method => method.Key))}.",
};
Option<int?> rank = new("--rank") { Description = "The rank of what trains." };
Option<int?> steps = new("--steps") { Description = "Optimizer steps of a run." };
Option<int?> rows = new("--rows") { Description = "Rows to train on." };
Option<int?> validationRows = new("--validation-rows") { Description = "Rows that choose the learning rates." };
Option<int?> testRows = new("--test-rows") { Description = "Rows to ask, of each set." };
Option<int?> textLength = new("--text-length") { Description = "Characters of the general text, from its start." };
Option<int?> choiceRows = new("--choice-rows") { Description = "Multiple-choice questions to ask." };
Option<int?> tuningSeeds = new("--tuning-seeds") { Description = "Seeds that choose the learning rates." };
Option<int?> seeds = new("--seeds") { Description = "Seeds of what is reported." };
Option<WeightType?> type = new("--type") { Description = "What the model computes in: Float32 or BFloat16, which pays on GPUs." };
Option<int?> gpu = new("--gpu") { Description = "The GPU's number, from 0; by default the CPU. Then --processes is 1." };
Option<int> processes = new("--processes") { Description = "Trainings at a time; a GPU takes one.", DefaultValueFactory = _ => 2 };
Option<int> threads = new("--threads") { Description = "Threads of a training.", DefaultValueFactory = _ => 1 };
Option<string> output = new("--out")
{
    Description = "The folder for the runs, report.html and the CSV files; the same folder again goes on.",
    DefaultValueFactory = _ => "paper-output",
};

foreach (Option<int?> count in new[] { rank, steps, rows, validationRows, testRows, textLength, choiceRows, tuningSeeds, seeds })
{
    // A run of one step changes nothing: it is the warm-up's.
    int least = count == steps ? 2 : 1;
    count.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int?>() < least)
        {
            result.AddError($"{result.Option.Name} is {result.GetValueOrDefault<int?>()}; it must be at least {least}.");
        }
    });
}

seeds.Validators.Add(result =>
{
    if (result.GetValueOrDefault<int?>() > Statistics.MostValues)
    {
        result.AddError($"--seeds is {result.GetValueOrDefault<int?>()}; it must be at most {Statistics.MostValues}.");
    }
});

foreach (Option<int> count in new[] { processes, threads })
{
    count.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() is < 1 or > 64)
        {
            result.AddError($"{result.Option.Name} is {result.GetValueOrDefault<int>()}; it must be from 1 to 64.");
        }
    });
}

foreach (Option<string?> file in new[] { train, gsm8k, math, text, choices })
{
    file.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<string?>() is { } path && !File.Exists(path))
        {
            result.AddError($"{result.Option.Name} is '{path}'; there is no such file.");
        }
    });
}

RootCommand root = new(
    "The experiments of the SORSA paper: every method at its own best learning rate, with what it learns and what it forgets.")
{
    preset, protocol, model, train, promptColumn, responseColumn, gsm8k, math, text, choices, methods, rank, steps, rows, validationRows,
    testRows, textLength, choiceRows, tuningSeeds, seeds, type, gpu, processes, threads, output,
};
// On a thread of its own, so that Ctrl+C is listened to meanwhile.
root.SetAction((arguments, cancellationToken) => Task.Run(() =>
{
    if (arguments.GetValue(protocol) is not null && arguments.GetValue(preset) is not null)
    {
        throw new ArgumentException("--preset and --protocol both say where the numbers come from: give one of them.");
    }

    string name = arguments.GetValue(protocol) ?? arguments.GetValue(preset)
        ?? (arguments.GetValue(train) is null ? Presets.Bundled : Presets.Files);
    StudySettings numbers = Presets.Get(name);
    StudySettings settings = numbers with
    {
        Model = FullPath(arguments.GetValue(model)),
        Train = FullPath(arguments.GetValue(train)),
        PromptColumn = arguments.GetValue(promptColumn) ?? numbers.PromptColumn,
        ResponseColumn = arguments.GetValue(responseColumn) ?? numbers.ResponseColumn,
        Gsm8k = FullPath(arguments.GetValue(gsm8k)),
        Math = FullPath(arguments.GetValue(math)),
        Text = FullPath(arguments.GetValue(text)),
        Choices = FullPath(arguments.GetValue(choices)),
        Methods = arguments.GetValue(methods) is { } keys ? StudyMethod.Keys(keys) : numbers.Methods,
        Rank = arguments.GetValue(rank) ?? numbers.Rank,
        Steps = arguments.GetValue(steps) ?? numbers.Steps,
        Rows = arguments.GetValue(rows) ?? numbers.Rows,
        ValidationRows = arguments.GetValue(validationRows) ?? numbers.ValidationRows,
        TestRows = arguments.GetValue(testRows) ?? numbers.TestRows,
        TextLength = arguments.GetValue(textLength) ?? numbers.TextLength,
        ChoiceRows = arguments.GetValue(choiceRows) ?? numbers.ChoiceRows,
        TuningSeeds = arguments.GetValue(tuningSeeds) ?? numbers.TuningSeeds,
        Seeds = arguments.GetValue(seeds) ?? numbers.Seeds,
        ComputeType = arguments.GetValue(type) ?? numbers.ComputeType,
        GpuDeviceId = arguments.GetValue(gpu),
    };
    settings.Verify();
    return Study.Do(
        settings, Path.GetFullPath(arguments.GetValue(output)!), settings.GpuDeviceId is null ? arguments.GetValue(processes) : 1,
        arguments.GetValue(threads), cancellationToken);
}));

Argument<string> folder = new("folder");
Argument<string> run = new("run");
Command one = new("train", "One run, given and told in JSON: what each process of a study does.") { folder, run };
one.SetAction(arguments => RunProcess.Answer(arguments.GetValue(folder)!, arguments.GetValue(run)!));
root.Subcommands.Add(one);

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("Stopped. The same command goes on with the runs that are not done.");
    return 130;
}
catch (Exception e) when (
    e is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException
        or UnauthorizedAccessException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

static string? FullPath(string? path) => path is null ? null : Path.GetFullPath(path);
