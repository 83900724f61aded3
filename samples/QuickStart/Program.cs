using System.CommandLine;
using QuickStart;

Option<string> model = new("--model")
{
    Description = "A Hugging Face folder with a Llama or Mistral model.",
    DefaultValueFactory = _ => Settings.BundledModel
};
Option<string?> train = new("--train") { Description = "JSON lines to train on; by default arithmetic stories are generated." };
Option<string?> test = new("--test")
{
    Description = "JSON lines to ask before and after; by default rows of --train that are not trained on, or generated stories."
};
Option<string> promptColumn = new("--prompt-column")
{
    Description = "The property that holds the prompt.",
    DefaultValueFactory = _ => "question"
};
Option<string> responseColumn = new("--response-column")
{
    Description = "The property that holds the response.",
    DefaultValueFactory = _ => "answer"
};
Option<int> rows = new("--rows") { Description = "Rows to train on, at most.", DefaultValueFactory = _ => 2000 };
Option<int> testRows = new("--test-rows") { Description = "Rows to ask.", DefaultValueFactory = _ => 200 };
Option<int?> steps = new("--steps") { Description = "Optimizer steps; by default one pass over the rows." };
Option<int> batch = new("--batch") { Description = "Rows per step.", DefaultValueFactory = _ => 16 };
Option<int> rank = new("--rank") { Description = "Singular triplets that train in each projection.", DefaultValueFactory = _ => 16 };
Option<double> gamma = new("--gamma") { Description = "The weight of the regularizer.", DefaultValueFactory = _ => 4e-4 };
Option<double> learningRate = new("--learning-rate") { Description = "The peak learning rate.", DefaultValueFactory = _ => 5e-4 };
Option<int> maxNewTokens = new("--max-new-tokens") { Description = "Tokens of an answer, at most.", DefaultValueFactory = _ => 72 };
Option<string> output = new("--out")
{
    Description = "The folder for data, answers and model.zip.",
    DefaultValueFactory = _ => "quickstart-output"
};

foreach (Option<int> count in new[] { rows, testRows, batch, rank, maxNewTokens })
{
    count.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() < 1)
        {
            result.AddError($"{result.Option.Name} is {result.GetValueOrDefault<int>()}; it must be at least 1.");
        }
    });
}

RootCommand root = new("Fine-tunes a model with SORSA, and asks it questions before, after, and in a second process.")
{
    model, train, test, promptColumn, responseColumn, rows, testRows, steps, batch, rank, gamma, learningRate, maxNewTokens, output,
};
root.SetAction(arguments => FineTuneAndCompare.Run(new Settings
{
    Model = arguments.GetValue(model)!,
    Train = arguments.GetValue(train),
    Test = arguments.GetValue(test),
    PromptColumn = arguments.GetValue(promptColumn)!,
    ResponseColumn = arguments.GetValue(responseColumn)!,
    Rows = arguments.GetValue(rows),
    TestRows = arguments.GetValue(testRows),
    Steps = arguments.GetValue(steps),
    Batch = arguments.GetValue(batch),
    Rank = arguments.GetValue(rank),
    Gamma = arguments.GetValue(gamma),
    LearningRate = arguments.GetValue(learningRate),
    MaxNewTokens = arguments.GetValue(maxNewTokens),
    Out = arguments.GetValue(output)!,
}));

// What the second process runs: it knows nothing of the first but the zip and the questions.
Argument<string> zip = new("zip"), questions = new("questions"), answers = new("answers");
Command predict = new("predict", "Loads a model zip with stock ML.NET and answers the questions of a JSON-lines file.")
{
    zip, questions, answers,
};
predict.SetAction(arguments => PredictFromZip.Run(arguments.GetValue(zip)!, arguments.GetValue(questions)!, arguments.GetValue(answers)!));
root.Subcommands.Add(predict);

try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (
    e.GetBaseException() is ArgumentException or IOException or InvalidDataException or InvalidOperationException or NotSupportedException
        or ArithmeticException or FormatException)
{
    // ML.NET wraps what a model's loader throws.
    Console.Error.WriteLine(e.GetBaseException().Message);
    return 1;
}
