using System.CommandLine;
using Microsoft.ML.Sorsa;
using QuickStart;

Option<string> model = new("--model")
{
    Description = "A Hugging Face folder with a Llama or Mistral model to train; or a model.zip of an earlier run, to ask.",
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
Option<FineTuningMethod> method = new("--method")
{
    Description = "What trains, and how it starts.",
    DefaultValueFactory = _ => FineTuningMethod.Sorsa
};
Option<int?> rank = new("--rank") { Description = "Singular triplets, or columns, that train in each projection; by default 16." };
Option<double?> gamma = new("--gamma") { Description = "The weight of the regularizer; by default the method's." };
Option<double?> learningRate = new("--learning-rate") { Description = "The peak learning rate; by default the method's." };
Option<int> maxNewTokens = new("--max-new-tokens") { Description = "Tokens of an answer, at most.", DefaultValueFactory = _ => 72 };
Option<bool> interactive = new("--interactive") { Description = "In the end, answers questions from the keyboard." };
Option<string> output = new("--out")
{
    Description = "The folder for data, replies and model.zip.",
    DefaultValueFactory = _ => "quickstart-output"
};

foreach (Option<int> count in new[] { rows, testRows, batch, maxNewTokens })
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
    model, train, test, promptColumn, responseColumn, rows, testRows, method, steps, batch, rank, gamma, learningRate, maxNewTokens,
    interactive, output,
};

// A saved model is asked: what would train it does not go together with it.
root.Validators.Add(result =>
{
    Option[] training = [rows, method, steps, batch, rank, gamma, learningRate, maxNewTokens];
    Option? set = Array.Find(training, option => result.GetResult(option) is { Implicit: false });
    if (set is not null && result.GetValue(model) is { } named && Settings.IsSavedModel(named))
    {
        result.AddError($"{model.Name} is a saved model, which is asked and not trained. Leave {set.Name} out, or name a model's folder.");
    }
});
root.SetAction(arguments =>
{
    var settings = new Settings
    {
        Model = arguments.GetValue(model)!,
        Train = arguments.GetValue(train),
        Test = arguments.GetValue(test),
        PromptColumn = arguments.GetValue(promptColumn)!,
        ResponseColumn = arguments.GetValue(responseColumn)!,
        Rows = arguments.GetValue(rows),
        TestRows = arguments.GetValue(testRows),
        Method = arguments.GetValue(method),
        Steps = arguments.GetValue(steps),
        Batch = arguments.GetValue(batch),
        Rank = arguments.GetValue(rank),
        Gamma = arguments.GetValue(gamma),
        LearningRate = arguments.GetValue(learningRate),
        MaxNewTokens = arguments.GetValue(maxNewTokens),
        Interactive = arguments.GetValue(interactive),
        Out = arguments.GetValue(output)!,
    };
    return Settings.IsSavedModel(settings.Model) ? AskSavedModel.Run(settings) : FineTuneAndCompare.Run(settings);
});

// What the second process runs: it knows nothing of the first but the zip and the questions.
Argument<string> zip = new("zip"), questions = new("questions"), replies = new("replies");
Command predict = new("predict", "Loads a model zip with stock ML.NET and answers the questions of a JSON-lines file.")
{
    zip, questions, replies,
};
predict.SetAction(arguments => PredictFromZip.Run(arguments.GetValue(zip)!, arguments.GetValue(questions)!, arguments.GetValue(replies)!));
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
