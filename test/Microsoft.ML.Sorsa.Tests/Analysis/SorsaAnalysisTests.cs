using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>An analysis in files, and that of two models' files.</summary>
[TestClass]
[TestCategory("Analysis")]
public sealed class SorsaAnalysisTests
{
    private const string QProj = "model.layers.0.self_attn.q_proj.weight", Other = "model.layers.10.mlp.up_proj.weight";

    private static readonly string[] s_head = ["lm_head"], s_unknown = ["r_proj", "q_proj"];

    private readonly MLContext _mlContext = new();

    [TestMethod]
    public void JsonComesBackToTheLastBit()
    {
        using var folder = new TemporaryFolder();
        SorsaAnalysis analysis = Sample();
        analysis.SaveJson(folder.File("analysis.json"));

        SorsaAnalysis again = SorsaAnalysis.Load(folder.File("analysis.json"));

        CollectionAssert.AreEqual(analysis.Matrices.ToArray(), again.Matrices.ToArray());
        Assert.AreEqual(3, again.Matrices[0].Layer);
        Assert.AreEqual("q_proj", again.Matrices[0].Module);
        Assert.IsNull(again.Matrices[1].Layer);
        Assert.AreEqual("odd,name", again.Matrices[1].Module);
    }

    [TestMethod]
    public void TheTableIsInCommaSeparatedValuesInEveryCulture()
    {
        using var folder = new TemporaryFolder();
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            (comma.NumberFormat.NumberDecimalSeparator, comma.NumberFormat.NumberGroupSeparator) = (",", ".");
            CultureInfo.CurrentCulture = comma;
            Sample().SaveCsv(folder.File("analysis.csv"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }

        Assert.AreEqual(
            "step,path,layer,module,singular_value_change,singular_vector_change,orthonormality,effective_rank,intruder_dimensions\r\n"
            + "10,model.layers.3.self_attn.q_proj,3,q_proj,0.1,0.2,0.3333333333333333,4.5,6\r\n"
            + "10,\"odd,name\",,\"odd,name\",0,0,,0,0\r\n",
            File.ReadAllText(folder.File("analysis.csv")));
    }

    [TestMethod]
    [DataRow("\"step\": 10", "\"step\": -1", "'matrices[0].step' must be at least 0")]
    [DataRow("\"step\": 10", "\"stop\": 10", "'matrices[0].step' is missing")]
    [DataRow("0.2", "1.2", "'matrices[0].singular_vector_change' must be at most 1")]
    [DataRow("0.1", "-0.1", "'matrices[0].singular_value_change' must be a number, at least 0")]
    [DataRow("0.1", "1e999", "'matrices[0].singular_value_change' must be a number, at least 0")]
    [DataRow("4.5", "\"4.5\"", "'matrices[0].effective_rank' must be a number, at least 0")]
    [DataRow(": 6", ": 6.5", "'matrices[0].intruder_dimensions' must be an integer")]
    [DataRow("\"version\": 1", "\"version\": 2", "version 2")]
    [DataRow("odd,name", "", "'matrices[1].path' must be a name")]
    [DataRow("]", "", "is not valid JSON")]
    public void AFileThatIsNoAnalysisIsRefused(string text, string instead, string message)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("analysis.json");
        Sample().SaveJson(file);
        File.WriteAllText(file, File.ReadAllText(file).Replace(text, instead, StringComparison.Ordinal));

        string said = Assert.ThrowsExactly<InvalidDataException>(() => SorsaAnalysis.Load(file)).Message;

        Assert.Contains(message, said);
        Assert.Contains(file, said);
    }

    [TestMethod]
    public void FilesThatAreNotThereAreSaidToBe()
    {
        using var folder = new TemporaryFolder();

        Assert.Throws<IOException>(() => SorsaAnalysis.Load(folder.File("nothing.json")));
        Assert.Throws<IOException>(() => Sample().SaveCsv(folder.File("nowhere", "analysis.csv")));
        Assert.ThrowsExactly<ArgumentException>(() => Sample().SaveJson(" "));
    }

    [TestMethod]
    public void AModelIsTheSameAsItself()
    {
        SorsaAnalysis analysis = _mlContext.Sorsa().Analyze(TestData.TinyLlama, TestData.TinyLlama);

        Assert.HasCount(7 * 6, analysis.Matrices);
        Assert.IsTrue(analysis.Matrices.All(row =>
            row is { Step: 0, SingularValueChange: 0, SingularVectorChange: < 1e-12, EffectiveRank: 0, IntruderDimensions: 0 }));
        Assert.AreEqual(
            "0 1 2 3 4 5", string.Join(' ', analysis.Matrices.Select(row => row.Layer).Distinct()));
        Assert.Contains("42 matrices", analysis.ToString());
    }

    /// <summary>Layers are in the order of their numbers; embeddings and vectors are left out unless a matrix is named.</summary>
    [TestMethod]
    public void FilesAndFoldersAreCompared()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        Tensor q = Matrix(6, 4, 1), up = Matrix(5, 5, 2), head = Matrix(7, 4, 3), norm = Matrix(1, 4, 4).flatten();
        Tensor turned = Matrix(6, 4, 5);
        string one = Write(folder, "one.safetensors", (QProj, q), (Other, up), ("lm_head.weight", head), ("model.norm.weight", norm));
        string other = Write(folder, "other.safetensors", ("module." + QProj, turned), ("module." + Other, up),
            ("module.lm_head.weight", head.neg()), ("module.model.norm.weight", norm));

        SorsaAnalysis analysis = _mlContext.Sorsa().Analyze(one, other);

        Assert.AreEqual(
            "model.layers.0.self_attn.q_proj model.layers.10.mlp.up_proj", string.Join(' ', analysis.Matrices.Select(row => row.Path)));
        MatrixAnalysis expected = MatrixComparisonTests.Compare(q, turned).ToRow(0, QProj[..^".weight".Length], null);
        Assert.AreEqual(expected, analysis.Matrices[0]);
        Assert.AreEqual(0, analysis.Matrices[1].SingularValueChange);
        MatrixAnalysis named = _mlContext.Sorsa().Analyze(one, other, new AnalysisOptions { TargetModules = s_head }).Matrices.Single();
        Assert.AreEqual("lm_head", named.Path);
        Assert.AreEqual(0, named.SingularVectorChange, 1e-12);
        Assert.IsGreaterThanOrEqualTo(1, named.EffectiveRank);
    }

    [TestMethod]
    public void ModelsThatAreNotOneAreRefusedWithTheDifference()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string one = Write(folder, "one.safetensors", (QProj, Matrix(6, 4, 1)), (Other, Matrix(5, 5, 2)));
        string less = Write(folder, "less.safetensors", (QProj, Matrix(6, 4, 1)));
        string wider = Write(folder, "wider.safetensors", (QProj, Matrix(6, 5, 1)), (Other, Matrix(5, 5, 2)));
        string whole = Write(folder, "whole.safetensors", (QProj, ones([6, 4], ScalarType.Int8)), (Other, Matrix(5, 5, 2)));
        Tensor damaged = Matrix(6, 4, 1);
        damaged[2, 3] = tensor(float.NaN);
        string broken = Write(folder, "broken.safetensors", (QProj, damaged), (Other, Matrix(5, 5, 2)));
        string flat = Write(folder, "flat.safetensors", ("model.norm.weight", Matrix(1, 4, 1).flatten()));

        Refused(one, less, $"'{less}' has no {Other}");
        Refused(one, wider, $"{QProj} is [6, 4] in the one and [6, 5] in the other");
        Refused(one, whole, $"{QProj} of '{whole}' is Int8");
        Refused(whole, one, $"{QProj} of '{whole}' is Int8");
        Refused(one, broken, $"'{QProj}'", "W_t holds values that are not finite");
        Refused(broken, one, "W_0 holds values that are not finite");
        Refused(flat, flat, "holds no matrix of a layer");

        void Refused(string initial, string tuned, params string[] messages)
        {
            string said = Assert.ThrowsExactly<InvalidDataException>(() => _mlContext.Sorsa().Analyze(initial, tuned)).Message;
            Array.ForEach(messages, message => Assert.Contains(message, said));
        }
    }

    [TestMethod]
    public void WhatCannotBeAskedForIsRefused()
    {
        SorsaCatalog catalog = _mlContext.Sorsa();
        string model = TestData.TinyLlama;
        Assert.Contains("'r_proj', and", Assert.ThrowsExactly<ArgumentException>(
            () => catalog.Analyze(model, model, new AnalysisOptions { TargetModules = s_unknown })).Message);
        Assert.Contains("Steps is 5", Assert.ThrowsExactly<ArgumentException>(
            () => catalog.Analyze(model, model, new AnalysisOptions { Steps = 5 })).Message);
        Assert.Contains("IntruderThreshold is 2", Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => catalog.Analyze(model, model, new AnalysisOptions { IntruderThreshold = 2 })).Message);
        Assert.ThrowsExactly<DirectoryNotFoundException>(() => catalog.Analyze(model, Path.Combine(model, "nothing")));
        Assert.ThrowsExactly<ArgumentException>(() => catalog.Analyze("", model));
        Assert.ThrowsExactly<OperationCanceledException>(
            () => catalog.Analyze(model, model, cancellationToken: new CancellationToken(canceled: true)));
    }

    internal static SorsaAnalysis Sample() => new(
    [
        new MatrixAnalysis
        {
            Step = 10,
            Path = "model.layers.3.self_attn.q_proj",
            SingularValueChange = 0.1,
            SingularVectorChange = 0.2,
            Orthonormality = 1 / 3.0,
            EffectiveRank = 4.5,
            IntruderDimensions = 6,
        },
        new MatrixAnalysis
        {
            Step = 10,
            Path = "odd,name",
            SingularValueChange = 0,
            SingularVectorChange = 0,
            Orthonormality = null,
            EffectiveRank = 0,
            IntruderDimensions = 0,
        },
    ]);

    private static Tensor Matrix(long rows, long columns, int seed)
    {
        using var generator = new Generator((ulong)seed);
        return randn(rows, columns, ScalarType.Float32, generator: generator);
    }

    private static string Write(TemporaryFolder folder, string name, params (string Name, Tensor Tensor)[] tensors)
    {
        using FileStream stream = File.Create(folder.File(name));
        CheckpointWriter.Write(stream, [.. tensors.Select(named => KeyValuePair.Create(named.Name, named.Tensor))], type: null);
        return folder.File(name);
    }
}
