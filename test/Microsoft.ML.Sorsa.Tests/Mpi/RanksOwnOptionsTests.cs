using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Chat;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;
using Options = Microsoft.ML.Sorsa.SorsaFineTuningTrainer.Options;

namespace Microsoft.ML.Sorsa.Tests.Mpi;

/// <summary>What may differ from machine to machine: every rank gets the same bits all the same. The ranks are threads.</summary>
[TestClass]
[TestCategory("Mpi")]
public sealed class RanksOwnOptionsTests
{
    /// <summary>Never cancelled.</summary>
    private static readonly CancellationTokenSource s_cancellation = new();

    /// <summary>A machine's own, with a value that rank 0 does not have. A rank's <see cref="Options.Ranks"/> is its own anyway.</summary>
    internal static readonly Dictionary<string, Func<TemporaryFolder, object?>> Own = new(StringComparer.Ordinal)
    {
        [nameof(Options.ModelFolder)] = machine => Model(machine),
        [nameof(Options.MapWeights)] = _ => !new Options().MapWeights,
        [nameof(Options.PromptColumnName)] = _ => nameof(OtherRow.Question),
        [nameof(Options.ResponseColumnName)] = _ => nameof(OtherRow.Answer),
        [nameof(Options.OutputColumnName)] = _ => "Said",
        [nameof(Options.MemoryCheck)] = _ => !new Options().MemoryCheck,
        [nameof(Options.GradientCheckpointing)] = _ => !new Options().GradientCheckpointing,
        [nameof(Options.Progress)] = _ => new Progress<SorsaTrainingProgress>(),
        [nameof(Options.CancellationToken)] = _ => s_cancellation.Token,
        [nameof(Options.Analysis)] = _ => new AnalysisOptions(),
        [nameof(Options.CheckpointFolder)] = machine => machine.File("checkpoints"),
        [nameof(Options.CheckpointSteps)] = _ => 1,
        [nameof(Options.KeepCheckpoints)] = _ => 5,
        [nameof(Options.Resume)] = _ => ResumeMode.Never,
        [nameof(Options.TensorBoardFolder)] = machine => machine.File("board"),
        [nameof(Options.Ranks)] = _ => null,
    };

    [TestMethod]
    public void WhatIsAMachinesOwnMayDiffer()
    {
        using var machine = new TemporaryFolder();

        int[][] alike = Train(_ => { }), differing = Train(options =>
        {
            Options first = TinyTask.Options();
            foreach ((string name, Func<TemporaryFolder, object?> own) in Own.Where(own => own.Key != nameof(Options.Ranks)))
            {
                PropertyInfo option = typeof(Options).GetProperty(name)!;
                option.SetValue(options, own(machine));
                Assert.AreNotEqual(option.GetValue(first), option.GetValue(options), name);
            }
        });

        foreach (int[] logits in differing)
        {
            CollectionAssert.AreEqual(alike[0], logits);
        }
    }

    /// <summary>The logits that rank 0 and rank 1 have at the end.</summary>
    /// <param name="change">Rank 1's options.</param>
    private static int[][] Train(Action<Options> change) => ThreadRanks.Run(2, ranks =>
    {
        set_num_threads(1);
        Options options = TinyTask.Options();
        (options.Ranks, options.NumberOfEpochs) = (ranks, 2);
        if (ranks.Rank == 1)
        {
            change(options);
        }

        var mlContext = new MLContext();
        IDataView data = options.PromptColumnName == nameof(OtherRow.Question)
            ? mlContext.Data.LoadFromEnumerable(TinyTask.Rows.Select(row => new OtherRow { Question = row.Prompt, Answer = row.Response }))
            : TinyTask.Data(mlContext);
        using SorsaTransformer model = mlContext.Sorsa().FineTune(options).Fit(data);
        Assert.HasCount(6, model.Training!.Losses);
        return TinyTask.LogitBits((CausalLM)model.Model.Network!);
    });

    private static string Model(TemporaryFolder machine)
    {
        string model = machine.File("model");
        Directory.CreateDirectory(model);
        TemplateFolder.CopyModel(model);
        return model;
    }

    private sealed class OtherRow
    {
        public string Question { get; set; } = "";

        public string Answer { get; set; } = "";
    }
}
