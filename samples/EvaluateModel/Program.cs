using System.CommandLine;
using EvaluateModel;
using Microsoft.ML.Sorsa;

Option<string> model = new("--model")
{
    Description = "A Hugging Face folder with a Llama or Mistral model; by default the bundled one.",
    DefaultValueFactory = _ => Settings.BundledModel
};
Option<string?> gsm8k = new("--gsm8k")
{
    Description = "GSM-8K's test.jsonl: JSON lines with question and answer. (MIT; github.com/openai/grade-school-math, " +
        "grade_school_math/data.) Without any data, arithmetic stories are generated."
};
Option<string?> gsm8kTrain = new("--gsm8k-train")
{
    Description = "GSM-8K's train.jsonl, from the same place, for the examples of --shots."
};
Option<string?> math = new("--math")
{
    Description = "MATH: JSON lines with problem and solution, such as MATH-500. (MIT; github.com/openai/prm800k, " +
        "prm800k/math_splits/test.jsonl.)"
};
Option<string?> arc = new("--arc")
{
    Description = "Multiple choice by log-likelihood, such as ARC-Easy: JSON lines with question, choices (texts) and answer (the right " +
        "one's place, from 0). (CC BY-SA 4.0; allenai/ai2_arc on Hugging Face, whose rows have to be put into this form.)"
};
Option<string?> text = new("--text")
{
    Description = "A file of text, for the model's perplexity, such as WikiText-2's validation part. (CC BY-SA 3.0; " +
        "github.com/pytorch/examples, word_language_model/data/wikitext-2/valid.txt.)"
};
Option<PromptStyle?> prompts = new("--prompts")
{
    Description = "How questions are asked: Plain, LmEval, Paper or Chat; by default Plain for the bundled model, LmEval for others."
};
Option<int?> shots = new("--shots")
{
    Description = "Examples in front of a question of GSM-8K, with LmEval; by default " +
        $"{Settings.DefaultShots} where --gsm8k-train is, otherwise 0."
};
Option<int> rows = new("--rows") { Description = "Rows of each file, at most: its first.", DefaultValueFactory = _ => 200 };
Option<int> batch = new("--batch") { Description = "Questions at a time.", DefaultValueFactory = _ => 8 };
Option<int?> maxNewTokens = new("--max-new-tokens")
{
    Description = "Tokens of an answer, at most; by default as the way of asking has it."
};
Option<WeightType> computeType = new("--type") { Description = "What to compute in.", DefaultValueFactory = _ => WeightType.Float32 };
Option<string> output = new("--out") { Description = "The folder for pages and tables.", DefaultValueFactory = _ => "evaluate-output" };

foreach (Option file in new[] { gsm8k, gsm8kTrain, math, arc, text })
{
    file.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<string?>() is { } path && !File.Exists(path))
        {
            result.AddError($"{file.Name} is '{path}', and there is no such file. {file.Description}");
        }
    });
}

foreach (Option<int> count in new[] { rows, batch })
{
    count.Validators.Add(result => AtLeast(result, result.GetValueOrDefault<int>(), 1));
}

maxNewTokens.Validators.Add(result => AtLeast(result, result.GetValueOrDefault<int?>() ?? 1, 1));
shots.Validators.Add(result => AtLeast(result, result.GetValueOrDefault<int?>() ?? 0, 0));

RootCommand root = new("Evaluates a model: lets it answer questions, and says how many answers are right, by each grader.")
{
    model, gsm8k, gsm8kTrain, math, arc, text, prompts, shots, rows, batch, maxNewTokens, computeType, output,
};
root.Validators.Add(result =>
{
    PromptStyle style = StyleOf(result.GetValue(prompts), result.GetValue(model));
    int? asked = result.GetValue(shots);
    if (result.GetValue(gsm8kTrain) is not null && result.GetValue(gsm8k) is null)
    {
        result.AddError($"{gsm8kTrain.Name} has examples for {gsm8k.Name}, which is not there. Name the questions, too.");
    }
    else if (style != PromptStyle.LmEval && (asked > 0 || result.GetValue(gsm8kTrain) is not null))
    {
        result.AddError(
            $"{(asked > 0 ? shots.Name : gsm8kTrain.Name)} is for {prompts.Name} LmEval, and questions are asked by {style}. " +
            "Leave it out.");
    }
    else if (asked > 0 && result.GetValue(gsm8k) is not null && result.GetValue(gsm8kTrain) is null)
    {
        result.AddError(
            $"{shots.Name} is {asked}, and there is no {gsm8kTrain.Name} to draw examples from. Name GSM-8K's training file.");
    }
});
root.SetAction(arguments => Evaluation.Run(new Settings
{
    Model = arguments.GetValue(model)!,
    Gsm8k = arguments.GetValue(gsm8k),
    Gsm8kTrain = arguments.GetValue(gsm8kTrain),
    Math = arguments.GetValue(math),
    Arc = arguments.GetValue(arc),
    Text = arguments.GetValue(text),
    Prompts = StyleOf(arguments.GetValue(prompts), arguments.GetValue(model)),
    Shots = arguments.GetValue(shots) ?? (arguments.GetValue(gsm8kTrain) is null ? 0 : Settings.DefaultShots),
    Rows = arguments.GetValue(rows),
    Batch = arguments.GetValue(batch),
    MaxNewTokens = arguments.GetValue(maxNewTokens),
    ComputeType = arguments.GetValue(computeType),
    Out = arguments.GetValue(output)!,
}));

try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (
    e is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException
        or UnauthorizedAccessException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

// While arguments are checked, a model that is not named is null.
static PromptStyle StyleOf(PromptStyle? named, string? model) =>
    named ?? (model is null || model == Settings.BundledModel ? PromptStyle.Plain : PromptStyle.LmEval);

static void AtLeast(System.CommandLine.Parsing.OptionResult result, int value, int least)
{
    if (value < least)
    {
        result.AddError($"{result.Option.Name} is {value}; it must be at least {least}.");
    }
}
