using Microsoft.ML.Sorsa.Tests.Surface;

namespace Microsoft.ML.Sorsa.Tests.Cases;

/// <summary>What ModelFolder may name.</summary>
[TestClass]
[DoNotParallelize]
[TestCategory("Cases")]
[TestCategory("Surface")]
public sealed class ModelFolderCases
{
    [TestMethod]
    public void Case21ARelativeFolderIsTheOneThatWasNamedWhenTheTrainerWasMade()
    {
        var mlContext = new MLContext();
        using var elsewhere = new TemporaryFolder();
        string before = Environment.CurrentDirectory;
        SorsaFineTuningTrainer trainer;
        try
        {
            Environment.CurrentDirectory = Path.GetDirectoryName(TestData.TinyLlama)!;
            trainer = mlContext.Sorsa().FineTune(new SorsaFineTuningTrainer.Options
            {
                ModelFolder = Path.GetFileName(TestData.TinyLlama),
                MaxSteps = 1,
                BatchSize = 1,
            });
            Environment.CurrentDirectory = elsewhere.Path;

            using SorsaTransformer fitted = trainer.Fit(TinyTask.Data(mlContext));

            Assert.IsNotNull(fitted.MergeReport);
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }
    }
}
