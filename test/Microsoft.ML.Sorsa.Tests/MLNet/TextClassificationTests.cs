using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Sorsa.Tests.Surface;
using Microsoft.ML.TorchSharp;
using Microsoft.ML.TorchSharp.NasBert;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.MLNet;

/// <summary>
/// ML.NET's own deep-learning trainers (Microsoft.ML.TorchSharp 0.23.1) were built for TorchSharp 0.102 and here share the process, and
/// TorchSharp 0.107, with us. They download weights when they fit, so none is fitted.
/// </summary>
[TestClass]
[TestCategory("Package")]
public sealed class TextClassificationTests
{
    private static readonly Assembly s_trainers = typeof(TextClassificationTrainer).Assembly;

    private sealed class Row
    {
        public string Sentence { get; set; } = "";

        [KeyType(2)]
        public uint Label { get; set; }
    }

    [TestMethod]
    public void TheEstimatorIsMadeAndOneTorchSharpIsLoaded()
    {
        var ml = new MLContext(seed: 1);
        TextClassificationTrainer trainer = ml.MulticlassClassification.Trainers.TextClassification(sentence1ColumnName: "Sentence");
        SchemaShape output = trainer.GetOutputSchema(SchemaShape.Create(ml.Data.LoadFromEnumerable<Row>([new()]).Schema));
        Assert.IsTrue(output.Any(column => column.Name == "PredictedLabel"));

        // And in the same process SORSA trains and answers.
        IDataView rows = TinyTask.Data(ml);
        using SorsaTransformer sorsa = ml.Sorsa().FineTune(TinyTask.Options()).Fit(rows);
        Assert.HasCount(TinyTask.Rows.Length, TinyTask.Answers(sorsa, rows));
        AssemblyName loaded = AppDomain.CurrentDomain.GetAssemblies()
            .Select(assembly => assembly.GetName())
            .Single(name => name.Name == "TorchSharp");
        Assert.AreEqual(new Version(0, 107), new Version(loaded.Version!.Major, loaded.Version.Minor));
    }

    [TestMethod]
    public void ItsModelIsMadeWithDisposedWeightsAndCannotRun()
    {
        // ModelUtils.InitXavierUniform there disposes what the initialiser returns: with 0.102 another handle of the weight, with 0.107
        // the weight itself. So Fit cannot work, downloaded weights or not: there are no tensors to load them into.
        using Tensor weight = empty(2, 2);
        Assert.AreSame(weight, nn.init.xavier_uniform_(weight));

        const int Padding = 1, Symbols = 50, Classes = 2;
        using var model = (nn.Module<Tensor, Tensor, Tensor>)Make(
            "Models.ModelForPrediction", Make("TextClassificationTrainer+TextClassificationOptions"), Padding, Symbols, Classes);
        using Tensor tokens = torch.tensor(new long[] { 0, 7, 9, 2 }, [1, 4]);

        Assert.IsTrue(model.modules().OfType<global::TorchSharp.Modules.Linear>().Any(linear => linear.weight!.IsInvalid));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => model.forward(tokens, null!));
        Assert.Contains("Tensor invalid -- empty handle", error.Message);
    }

    [TestMethod]
    public void TheOneMemberThatThisTorchSharpLacksIsOfObjectDetection()
    {
        using var image = new PEReader(File.OpenRead(s_trainers.Location));
        MetadataReader metadata = image.GetMetadataReader();
        var missing = new List<string>();
        for (int row = 1; row <= metadata.GetTableRowCount(TableIndex.MemberRef); row++)
        {
            try
            {
                s_trainers.ManifestModule.ResolveMember(MetadataTokens.GetToken(MetadataTokens.MemberReferenceHandle(row)));
            }
            catch (MissingMemberException e)
            {
                missing.Add(e.Message);
            }
            catch (ArgumentException)
            {
                // A member of a generic type whose arguments only its caller knows: List<T> and their like, not TorchSharp's.
            }
        }

        Assert.Contains(
            "functional.interpolate(Tensor, Int64[], Double[], InterpolationMode, System.Nullable`1<Boolean>, Boolean)", missing.Single());
    }

    /// <summary>The model that the estimator trains and its options are not public.</summary>
    private static object Make(string name, params object[] arguments)
    {
        const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DoNotWrapExceptions;
        Type type = s_trainers.GetType($"Microsoft.ML.TorchSharp.NasBert.{name}", throwOnError: true)!;
        return Activator.CreateInstance(type, Any, null, arguments, null)!;
    }
}
